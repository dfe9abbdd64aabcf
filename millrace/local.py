"""Running it here: what the verbs up, down, deploy, url and token hand to infra.local."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from infra.local.__main__ import deploy_on, deploy_to, port_from
from infra.local.__main__ import up as start
from infra.local.emulator import ROOT, Emulator
from infra.local.endpoint import base_url, is_ministack
from infra.local.stack import outputs
from infra.local.users import Claims, token
from millrace.errors import BenchError


def own_endpoint() -> str:
    """That of the emulator on MILLRACE_PORT."""
    return _emulator().endpoint


def up(quiet: bool) -> dict[str, str]:
    """Starts the emulator unless it runs, builds and deploys; says how it goes unless `quiet`."""
    emulator = _emulator()
    with _silence(quiet):
        start(emulator)
    return {"endpoint": emulator.endpoint, "url": base_url(emulator.endpoint)}


def down() -> dict[str, object]:
    """Stops what `up` started; whether there was anything to stop."""
    emulator = _emulator()
    return {"port": emulator.port, "stopped": emulator.stop()}


def deploy(endpoint: str | None, parameters: Sequence[str], quiet: bool) -> dict[str, str]:
    """Deploys what is on disk: by SAM to AWS (None), built here onto our own emulator, or what
    `sam build` made to another endpoint. Gives the outputs."""
    if wrong := [pair for pair in parameters if "=" not in pair]:
        raise BenchError(f"{wrong[0]!r} is not Key=value")
    with _silence(quiet):
        if endpoint is None:
            _sam_deploy(parameters)
            return {}
        if endpoint == own_endpoint():
            if parameters:
                raise BenchError("the emulator takes no parameters; they are for --endpoint, --aws")
            deploy_on(_emulator())
        else:
            deploy_to(endpoint, list(parameters))
    return outputs(endpoint)


def url(endpoint: str) -> str:
    """The base URL of the API that is deployed on an emulator. Raises LocalError."""
    found = outputs(endpoint)["ApiUrl"]
    return base_url(endpoint) if is_ministack(endpoint) else found


def token_for(endpoint: str, user: str, claims: dict[str, str | None]) -> str:
    """An ID token of a user who is made if new. Raises LocalError."""
    given = {name: value for name, value in claims.items() if value is not None}
    return token(endpoint, user, Claims(**given))


def _sam_deploy(parameters: Sequence[str]) -> None:
    overrides = f"--parameter-overrides {' '.join(parameters)}" if parameters else ""
    command = ["make", "deploy", *([f"ARGS={overrides}"] if overrides else [])]
    # Its output belongs to the terminal even where ours is silenced.
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:
        raise BenchError("`make deploy` failed")


def _emulator() -> Emulator:
    return Emulator.on(port_from(os.environ))


@contextmanager
def _silence(quiet: bool) -> Iterator[None]:
    """Leaves standard output to the JSON document."""
    if not quiet:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield
