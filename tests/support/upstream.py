"""An HTTP server of a test's own on 127.0.0.1, that says any bytes."""

from __future__ import annotations

import socketserver
import ssl
from collections.abc import Callable, Iterable
from threading import Event, Thread
from types import TracebackType
from typing import NamedTuple, Self

Answers = Callable[["Seen"], "bytes | Iterable[bytes]"]


class Seen(NamedTuple):
    """A request as it came: header names in lower case."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that came once, None of one that did not."""
        [*found] = [value for each, value in self.headers if each == name]
        assert len(found) <= 1, found
        return found[0] if found else None


def said(
    body: bytes = b"{}", *headers: str, status: str = "200 OK", kind: str = "application/json"
) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    if kind:
        lines.append(f"content-type: {kind}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def plainly(_: Seen) -> bytes:
    """What is answered unless a test says otherwise."""
    return said(b'{"from":"upstream"}')


class Upstream:
    """The server; a context manager. `seen` are the requests that came, `connections` counts those
    that were taken, `answer` says what each is answered. An answer of parts comes one by one; what
    waits in one for `released` waits until the test is over. `shown` makes it one of TLS."""

    def __init__(self, shown: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.answer: Answers = plainly
        self.released = Event()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        if shown is not None:
            self._server.socket = shown.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        upstream = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                upstream.connections += 1
                while (seen := _read(self)) is not None:
                    upstream.seen.append(seen)
                    given = upstream.answer(seen)
                    parts = [given] if isinstance(given, bytes) else given
                    for part in parts:
                        self.wfile.write(part)
                    if not isinstance(given, bytes):
                        return

        class Quiet(Handler):
            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    # Whoever asked has gone, as some tests want.
                    return

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    return

        return Quiet


def _read(handler: socketserver.StreamRequestHandler) -> Seen | None:
    line = handler.rfile.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    method, _, rest = line.partition(" ")
    headers: list[tuple[str, str]] = []
    while field := handler.rfile.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = field.partition(":")
        headers.append((name.lower(), value.strip()))
    length = int(dict(headers).get("content-length", "0"))
    return Seen(method, rest.rpartition(" ")[0], headers, handler.rfile.read(length))
