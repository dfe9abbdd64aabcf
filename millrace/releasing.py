"""Out of quarantine, for what can be rendered and published again."""

from __future__ import annotations

from functions.kernel.projector import ProjectionFailed
from millrace.capability import Capability
from millrace.errors import BenchError

Released = tuple[str, str | None]
"""A stream, and the error that keeps it in quarantine."""


def release(capability: Capability, wanted: str | None) -> list[Released]:
    """Rings one stream of the quarantine, or all (None), and releases what could be rung.

    Raises BenchError for one that is not set aside.
    """
    aside = [each.stream for each in capability.quarantine.all()]
    if wanted is None:
        return [_released(capability, stream) for stream in aside]
    stream = capability.stream_id(wanted)
    if stream not in aside:
        raise BenchError(f"{stream} is not in the quarantine of {capability.name}")
    return [_released(capability, stream)]


def _released(capability: Capability, stream: str) -> Released:
    try:
        # First the rows, then the release: between the two it is only set aside for nothing.
        for reader in capability.readers:
            reader.ring(stream)
    except Exception as error:
        cause = error.__cause__ if isinstance(error, ProjectionFailed) else error
        return stream, f"{type(cause).__name__}: {cause}"
    capability.quarantine.release(stream)
    return stream, None
