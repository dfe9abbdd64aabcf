"""Running it here: what the verbs up, down, deploy, url and token hand to infra.local."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout

from infra.local.__main__ import deploy_on, deploy_to, port_from
from infra.local.__main__ import up as start
from infra.local.emulator import ROOT, Emulator
from infra.local.endpoint import base_url, is_ministack
from infra.local.stack import NAME, outputs
from infra.local.users import Claims, token
from millrace.errors import BenchError

PARAMETER_FILE = ".millrace/parameters.yaml"
"""Below the checkout, where make runs sam."""
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


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


def deploy(
    endpoint: str | None, stack: str, parameters: Sequence[str], quiet: bool
) -> dict[str, str]:
    """Deploys what is on disk: by SAM to AWS (None), built here onto our own emulator, or what
    `sam build` made to another endpoint. Gives the outputs."""
    if wrong := [pair for pair in parameters if "=" not in pair]:
        raise BenchError(f"{wrong[0]!r} is not Key=value")
    if endpoint is not None and stack != NAME:
        raise BenchError(f"on an emulator the stack is always {NAME}: --stack is for AWS here")
    with _silence(quiet):
        if endpoint is None:
            _sam_deploy(stack, dict(pair.split("=", 1) for pair in parameters))
            return {}
        if endpoint == own_endpoint():
            if parameters:
                raise BenchError("the emulator takes no parameters; they are for --endpoint, --aws")
            deploy_on(_emulator())
        else:
            deploy_to(endpoint, list(parameters))
    return outputs(endpoint)


def url(endpoint: str, stack: str) -> str:
    """The base URL of the API that is deployed on an emulator. Raises LocalError."""
    found = outputs(endpoint, stack)["ApiUrl"]
    return base_url(endpoint) if is_ministack(endpoint) else found


def token_for(endpoint: str, stack: str, user: str, claims: Mapping[str, str | None]) -> str:
    """An ID token of a user who is made if new. Raises LocalError."""
    given = {name: value for name, value in claims.items() if value is not None}
    return token(endpoint, user, Claims(**given), stack)


def _sam_deploy(stack: str, parameters: Mapping[str, str]) -> None:
    if not _STACK_NAME.fullmatch(stack):
        raise BenchError(f"{stack!r} is no name of a stack: letters, digits and hyphens")
    with _parameter_file(parameters) as overrides:
        command = ["make", "deploy", " ".join([f"ARGS=--stack-name {stack}", *overrides])]
        # Its output belongs to the terminal even where ours is silenced.
        if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:
            raise BenchError("`make deploy` failed")


@contextmanager
def _parameter_file(parameters: Mapping[str, str]) -> Iterator[list[str]]:
    """Sam's arguments that name a file of parameters, for as long as it is there: neither make, a
    shell nor sam itself takes a value apart that stands in one."""
    if not parameters:
        yield []
        return
    file = ROOT / PARAMETER_FILE
    file.parent.mkdir(exist_ok=True)
    # A parameter may be a secret.
    file.touch(mode=0o600)
    # JSON is YAML, which is all that sam reads.
    file.write_text(json.dumps(parameters), encoding="utf-8")
    try:
        yield ["--parameter-overrides", f"file://{PARAMETER_FILE}"]
    finally:
        file.unlink()


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
