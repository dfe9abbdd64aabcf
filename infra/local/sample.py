"""Run a built function as Lambda would, without Docker.

The runtime interface emulator that the SAM CLI ships starts AWS's own runtime client in an
environment that holds what AWS's runtime brings and nothing else, so a library that is missing
from the artifact or the layer shows here and not on AWS.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from infra.local import templates
from infra.local.emulator import ROOT
from infra.local.endpoint import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS = 10.0
ANSWER_SECONDS = 60.0


def invoke(
    function: str, event: Any, artifacts: Path, environment: Mapping[str, str]
) -> dict[str, Any] | None:
    """What the function of the logical id `function` answers to `event`.

    `artifacts` is the root template that `sam build` wrote. Raises LocalError when the handler
    cannot be imported or raises.
    """
    folder, handler = _find(function, artifacts)
    api, runtime = _free_port(), _free_port()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [
                str(_emulator()),
                *("--runtime-interface-emulator-address", f"127.0.0.1:{api}"),
                *("--runtime-api-address", f"127.0.0.1:{runtime}"),
                *(str(ROOT / ".venv-lambda/bin/python"), "-P", "-m", "awslambdaric", handler),
            ],
            cwd=folder,
            env=_environment(function, folder, artifacts.parent / "DepsLayer") | dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            # It starts the runtime as a child: both are ended by their group.
            start_new_session=True,
        )
        try:
            answer = _post(api, event)
        except LocalError as error:
            log.seek(0)
            raise LocalError(f"{function}: {error}\n{log.read().strip()}") from error
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    # A handler that raised is an answer like any other, HTTP 200, but for this field.
    if answer and "errorType" in answer:
        raise LocalError(f"{function} raised {answer['errorType']}: {answer['errorMessage']}")
    return answer


def _environment(function: str, folder: Path, layer: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "LAMBDA_TASK_ROOT": str(folder),
        # As on Lambda, the function's own files come before its layers'.
        "PYTHONPATH": os.pathsep.join([str(folder), str(layer / "python")]),
        "AWS_LAMBDA_FUNCTION_NAME": function,
    }


def _find(function: str, template: Path) -> tuple[Path, str]:
    """The folder of the built function and its handler's dotted name, from nested stacks too."""
    parsed = templates.load(template)
    for name, properties in templates.resources(parsed, templates.FUNCTION):
        if name == function:
            return template.parent / properties["CodeUri"], properties["Handler"]
    for _, properties in templates.resources(parsed, templates.NESTED):
        try:
            return _find(function, template.parent / properties["Location"])
        except LocalError:
            continue
    raise LocalError(f"no function {function} in {template.name}")


def _emulator() -> Path:
    machine = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    if platform.system() != "Linux":
        raise LocalError("the runtime interface emulator is a Linux program: run this on Linux")
    packaged = f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    for path in (ROOT / ".venv-sam").glob(packaged):
        return path
    raise LocalError("the SAM CLI is not installed: run this as `make sample`")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _post(port: int, event: Any) -> dict[str, Any] | None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations",
        data=json.dumps(event).encode(),
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                answered: dict[str, Any] | None = json.load(answer)
                return answered
        except urllib.error.HTTPError as error:
            with error:
                raise LocalError(f"did not start: {error.read().decode()}") from error
        except urllib.error.URLError as error:
            # Nobody listens yet.
            if time.monotonic() > deadline:
                raise LocalError(f"no answer on port {port}") from error
            time.sleep(0.02)
