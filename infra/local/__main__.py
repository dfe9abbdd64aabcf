"""The Makefile's verbs: `python -m infra.local up|down|url|token|deploy|sample|translate`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.emulator import Emulator
from infra.local.endpoint import (
    LocalError,
    base_url,
    checked,
    is_ministack,
    spare_proxies,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each verb imports what it needs: `make url` does not wait for boto3.

WELCOME = """
  API        {url}
  dashboard  {url}/static/dashboard.html
             log in as demo, password {password}
  token      {make} -s token USER=alice
  stop       {make} down

  curl -si {url}/v1/links \\
    -H "Authorization: Bearer $({make} -s token)" \\
    -H 'Content-Type: application/json' \\
    -d '{{"long_url": "https://example.com/"}}'
"""


def up(emulator: Emulator) -> None:
    """Start the emulator unless it runs, build, deploy, make a user, say what to call."""
    from infra.local.users import PASSWORD, token

    with step("emulator"):
        emulator.start()
    deploy_on(emulator)
    with step("demo user"):
        token(emulator.endpoint, "demo")
    make = "make" if emulator.port == 4566 else f"make MILLRACE_PORT={emulator.port}"
    print(WELCOME.format(url=base_url(emulator.endpoint), make=make, password=PASSWORD))


def deploy_on(emulator: Emulator) -> None:
    """Build what is on disk now and deploy it on our own emulator."""
    from infra.local.artifacts import build
    from infra.local.deployment import deploy

    with step("build"):
        template = build(emulator.state / "build")
    with step("deploy"):
        deploy(
            emulator.endpoint,
            template,
            {
                "PublicUrl": base_url(emulator.endpoint),
                "AllowPrivateUpstreams": "yes",
                **this_machine(),
            },
        )


def deploy_to(endpoint: str, given: list[str]) -> None:
    """Deploy what `sam build` made to any endpoint that runs, with `given` as Key=value."""
    from infra.local.artifacts import BUILT_BY_SAM
    from infra.local.deployment import deploy

    if not endpoint:
        raise LocalError("say where: make deploy-local ENDPOINT=http://localhost:4566")
    endpoint = checked(endpoint)
    if wrong := [pair for pair in given if "=" not in pair]:
        raise LocalError(f"{wrong[0]!r} is not Key=value")
    parameters = this_machine() | dict(pair.split("=", 1) for pair in given)
    if is_ministack(endpoint):
        # Elsewhere the API's own endpoint, which the template falls back on, is the right one.
        parameters.setdefault("PublicUrl", base_url(endpoint))
    with step("deploy"):
        outputs = deploy(endpoint, BUILT_BY_SAM, parameters)
    for key, value in sorted(outputs.items()):
        print(f"{key:18} {value}")
    if is_ministack(endpoint):
        print(f"{'BaseUrl':18} {base_url(endpoint)}")


def run_sample(emulator: Emulator, function: str, event: Path) -> None:
    """Run the built function on the event in that file, print its answer."""
    from infra.local.artifacts import BUILT_BY_SAM
    from infra.local.sample import invoke
    from infra.local.stack import function_environment

    if not event.is_file():
        raise LocalError(f"no sample {event}: make sample FN=<function> EVENT=events/...")
    environment = function_environment(emulator.endpoint, function) | variables(emulator.endpoint)
    answer = invoke(function, json.loads(event.read_text()), BUILT_BY_SAM, environment)
    print(json.dumps(answer, indent=2))


def show_translated(path: Path) -> None:
    """Print the template as CloudFormation gets it, for cfn-lint to read."""
    from infra.local.templates import load, pretend_uploaded, translate

    template = load(path)
    pretend_uploaded(template)
    print(json.dumps(translate(template), indent=1))


def this_machine() -> dict[str, str]:
    """The template's parameters that name this machine's processor and Python."""
    arm = platform.machine() in ("arm64", "aarch64")
    return {
        "Architecture": "arm64" if arm else "x86_64",
        # The newest that Lambda has, where ours is newer: an emulator ignores it anyway.
        "PythonRuntime": f"python3.{min(sys.version_info.minor, 13)}",
    }


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being done, and when it is done how long it took."""
    from rich.console import Console

    console = Console(highlight=False)
    began = time.monotonic()
    with console.status(name):
        yield
    console.print(f"  [green]✓[/green] {name:10} {time.monotonic() - began:5.1f} s")


def parser() -> argparse.ArgumentParser:
    verbs = argparse.ArgumentParser(prog="millrace", description=__doc__)
    verb = verbs.add_subparsers(dest="verb", required=True)
    for name in ("up", "down", "url"):
        verb.add_parser(name)
    token = verb.add_parser("token")
    token.add_argument("user")
    for claim in ("--tenant", "--tier", "--scopes"):
        token.add_argument(claim)
    deploy = verb.add_parser("deploy")
    deploy.add_argument("endpoint")
    deploy.add_argument("parameters", nargs="*", metavar="Key=value")
    sample = verb.add_parser("sample")
    sample.add_argument("function")
    sample.add_argument("event", type=Path)
    verb.add_parser("translate").add_argument("template", type=Path)
    return verbs


def run(given: argparse.Namespace) -> None:
    emulator = Emulator.on(port_from(os.environ))
    match given.verb:
        case "up":
            up(emulator)
        case "down":
            print("stopped" if emulator.stop() else "nothing to stop", f"on port {emulator.port}")
        case "url":
            print(base_url(emulator.endpoint))
        case "token":
            from infra.local.users import Claims, token

            claims = {name: getattr(given, name) for name in ("tenant", "tier", "scopes")}
            chosen = {name: value for name, value in claims.items() if value}
            print(token(emulator.endpoint, given.user, Claims(**chosen)))
        case "deploy":
            deploy_to(given.endpoint, given.parameters)
        case "sample":
            run_sample(emulator, given.function, given.event)
        case "translate":
            show_translated(given.template)


def port_from(environment: os._Environ[str]) -> int:
    given = environment.get("MILLRACE_PORT", "4566")
    if not given.isdecimal() or not 1 <= int(given) <= 65535:
        raise LocalError(f"MILLRACE_PORT is {given!r}, not a port number")
    return int(given)


def main() -> int:
    # A profile of the caller's that botocore looked for in vain would stop it.
    os.environ.pop("AWS_PROFILE", None)
    spare_proxies()
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        run(parser().parse_args())
    except (LocalError, BotoCoreError, ClientError, OSError) as error:
        print(f"millrace: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
