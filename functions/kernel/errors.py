"""What can go wrong between a command and its commit. The edge gives each its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.kernel.store import Commit


class KernelError(Exception):
    """Base of everything that the kernel raises on purpose."""


class Rejected(KernelError, ValueError):
    """A rule said no. Nothing was written.

    `field` names the offending input, or is empty when the state itself forbids the command.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class NotFound(KernelError):
    """No such stream, or none that this actor may know of."""


class Gone(KernelError):
    """The resource existed and was deleted; its history remains."""


class AlreadyExists(KernelError):
    """Another command created the stream first; `first` is its commit."""

    def __init__(self, first: Commit) -> None:
        super().__init__(f"{first.stream} exists")
        self.first = first


class CommandReused(KernelError):
    """The command id was used before, with another payload."""


class VersionMismatch(KernelError):
    """The caller expected a version that is not the current one."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the current version is {current}")
        self.current = current


class Conflict(KernelError):
    """Other writers kept winning; the bounded retries are used up."""


class CommitTooLarge(KernelError):
    """A commit above the size limit; larger bodies belong into S3, as key and SHA-256."""


class Unreadable(KernelError):
    """An event type or a schema newer than this code: refused, never folded without it."""
