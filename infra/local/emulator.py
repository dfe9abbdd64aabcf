"""Start and stop MiniStack, one per port, remembering only what we started ourselves."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.local.endpoint import LocalError, is_ministack, variables

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 10.0
PROCESSES = Path("/proc")
"""Linux's, where not every image has a `ps`."""

# Those of this very process, the tests': unreaped they would count as alive for ever.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Emulator:
    """A MiniStack on `port`; `state` holds its pid, its log and its scratch files."""

    port: int
    state: Path

    @classmethod
    def on(cls, port: int) -> Emulator:
        return cls(port, ROOT / ".millrace" / str(port))

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def log(self) -> Path:
        return self.state / "emulator.log"

    @property
    def _pid_file(self) -> Path:
        return self.state / "pid"

    def pid(self) -> int | None:
        """The process that we started and that still runs; None if there is none."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        # The number may belong to a stranger by now: only the command line tells.
        return pid if self._mark in _command(pid) else None

    @property
    def _mark(self) -> str:
        """An option that Python takes for nothing, and nobody else's command line has."""
        return f"millrace={self.state}{os.sep}"

    def start(self) -> bool:
        """Start it unless it runs; whether it had to be started.

        Raises LocalError when the port is someone else's or MiniStack does not come up.
        """
        if self.pid() is not None:
            # Somebody else's `make up` may have begun just now.
            if not self._comes_up(lambda: self.pid() is None):
                raise LocalError(
                    f"MiniStack runs on port {self.port} and does not answer: make down, then "
                    "try again"
                )
            return False
        _require_pinned_ministack()
        if _is_taken(self.port):
            raise LocalError(
                f"port {self.port} is in use by a program that `make up` did not start here: "
                f"stop it, or choose another: MILLRACE_PORT={self.port + 1} make up"
            )
        shutil.rmtree(self.state, ignore_errors=True)
        (self.state / "tmp").mkdir(parents=True)
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-X", self._mark, "-m", "ministack"],
                env=_environment(self),
                cwd=self.state,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C here does not reach it, and `stop` ends its
                # function workers with it.
                start_new_session=True,
            )
        _children[process.pid] = process
        self._pid_file.write_text(str(process.pid))
        # A process has no command line yet for a moment: this one is asked itself.
        if not self._comes_up(lambda: process.poll() is not None):
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            self.stop()
            raise LocalError(f"MiniStack did not start on port {self.port}:\n{tail}")
        return True

    def stop(self) -> bool:
        """End it and its function workers; whether there was anything to end."""
        pid = self.pid()
        if pid is not None:
            _end_group(pid)
        shutil.rmtree(self.state, ignore_errors=True)
        return pid is not None

    def _comes_up(self, ended: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while not is_ministack(self.endpoint):
            if ended() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def _command(pid: int) -> str:
    """The command line of a process, empty where there is none, or it has ended."""
    if (PROCESSES / "self" / "cmdline").exists():
        try:
            shown = (PROCESSES / str(pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return os.fsdecode(shown.replace(b"\0", b" "))
    try:
        ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        return os.fsdecode(subprocess.run(ps, capture_output=True, check=False).stdout)
    except FileNotFoundError:
        raise LocalError("there is no `ps` here, which tells whether the emulator runs") from None


def _environment(emulator: Emulator) -> dict[str, str]:
    # The functions inherit it: neither the caller's AWS account nor their Python settings may
    # leak in. (Without PYTHONDONTWRITEBYTECODE a worker need not compile botocore each time.)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PYTHON", "LOCALSTACK_", "MINISTACK_", "LAMBDA_"))
    }
    return inherited | {
        # By number, which costs the functions no lookup.
        **variables(f"http://127.0.0.1:{emulator.port}"),
        "GATEWAY_PORT": str(emulator.port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        # Workers leave their unpacked code behind when they are ended; `stop` clears it.
        "TMPDIR": str(emulator.state / "tmp"),
    }


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _end_group(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if not _group_lives(pid):
                return
            time.sleep(0.05)


def _group_lives(pid: int) -> bool:
    if pid in _children and _children[pid].poll() is not None:
        del _children[pid]
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _require_pinned_ministack() -> None:
    pinned = re.search(r"^ministack==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    installed = importlib.metadata.version("ministack")
    if pinned is None or pinned[1] != installed:
        wanted = pinned[1] if pinned else "no version at all"
        raise LocalError(
            f"MiniStack {installed} is installed, requirements.lock says {wanted}: "
            "make clean, then try again"
        )
