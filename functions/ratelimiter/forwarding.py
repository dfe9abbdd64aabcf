"""One request to an upstream and its answer: to an address that was checked, in bounded time.

The address is resolved and checked here, and connected to as it is, so that a name that resolves to
another the next moment leads nowhere. TLS is for the name all the same. A redirect is an answer.

A time-out of a socket is for one read of it: who sends a byte now and then is never late. So the
exchange runs beside the caller, who waits for the whole of it, name resolution included, and then
shuts its socket.
"""

from __future__ import annotations

import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import NamedTuple

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import HTTPResponse

from functions.edge.problem import Problem
from functions.ratelimiter.addresses import connectable
from functions.ratelimiter.targets import Target

MAX_BODY = 4_500_000
"""Bytes either way. Lambda takes and returns 6 MB (6,291,456 bytes) of JSON, in which a body is
base64, so four thirds of itself; the rest is for header fields (AWS Lambda Developer Guide,
quotas)."""
IDLE = 20
"""Connections that a container keeps for its next requests."""
IDLE_S = 30
"""Seconds after which none is used again: its name may lead elsewhere by now, and a container that
was frozen does not learn that it was closed."""
ADDRESSES = 3
"""Of a name's, to be tried for a connection."""

Resolve = Callable[[str, int], Sequence[str]]


class Call(NamedTuple):
    """What an upstream is asked. `target` is a path and its query; header names are lower-case."""

    to: Target
    method: str
    target: str
    headers: Mapping[str, str | bytes]
    body: bytes | None


class Reply(NamedTuple):
    """What it answers; `headers` in their order, a name perhaps several times."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class _Kept(NamedTuple):
    connection: HTTPConnection
    made_at: float


def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system knows them."""
    flags = socket.AI_ADDRCONFIG
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [str(entry[4][0]) for entry in found]


class Forwarder:
    """Asks upstreams. `private` allows addresses of the own host and network; `trust` makes the
    certificates to go by, those of the system unless a test says otherwise."""

    def __init__(
        self,
        private: bool,
        resolve: Resolve = resolved,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._private = private
        self._resolve = resolve
        self._trust = trust
        self._context: ssl.SSLContext | None = None
        self._idle: OrderedDict[Target, _Kept] = OrderedDict()

    def __del__(self) -> None:
        for kept in self._idle.values():
            kept.connection.close()

    def send(self, call: Call, seconds: float) -> Reply:
        """The answer, if it is there whole in so many seconds. Asks once: an upstream that did not
        answer may have done what it was asked all the same.

        Raises 502 Problems `upstream_unreachable`, `upstream_malformed`, `upstream_too_large`,
        and a 504 `upstream_timeout`.
        """
        exchange = _Exchange(self, call, seconds)
        Thread(target=exchange.run, daemon=True).start()
        try:
            outcome = exchange.outcome.get(timeout=seconds)
        except Empty:
            exchange.abandon()
            raise _late() from None
        if isinstance(outcome, Exception):
            raise _problem(outcome) from outcome
        return outcome

    def taken(self, to: Target) -> _Kept | None:
        """A connection that is still good, for one request."""
        kept = self._idle.pop(to, None)
        if kept is None:
            return None
        if kept.connection.is_connected and monotonic() - kept.made_at < IDLE_S:
            return kept
        kept.connection.close()
        return None

    def give_back(self, to: Target, kept: _Kept) -> None:
        """A connection whose answer was read to the end."""
        if kept.connection.is_closed:
            return
        if (other := self._idle.pop(to, None)) is not None:
            other.connection.close()
        self._idle[to] = kept
        if len(self._idle) > IDLE:
            _, (oldest, _) = self._idle.popitem(last=False)
            oldest.close()

    def connections(self, to: Target, seconds: float) -> list[HTTPConnection]:
        """One to each address, not yet made. Raises Problem where any must not be connected to."""
        addresses = self._addresses(to)
        if not addresses or not all(connectable(each, self._private) for each in addresses):
            raise _unreachable("It has an address that is not public.")
        return [self._connection(to, each, seconds) for each in addresses[:ADDRESSES]]

    def _addresses(self, to: Target) -> Sequence[str]:
        if ":" in to.host or to.host.rpartition(".")[2].isdecimal():
            return [to.host]
        try:
            return self._resolve(to.host, to.port)
        except (OSError, UnicodeError) as error:
            raise _unreachable("Its name does not resolve.") from error

    def _connection(self, to: Target, address: str, seconds: float) -> HTTPConnection:
        if to.scheme == "http":
            return HTTPConnection(address, to.port, timeout=seconds)
        if self._context is None:
            self._context = self._trust()
        return HTTPSConnection(
            address,
            to.port,
            timeout=seconds,
            ssl_context=self._context,
            server_hostname=to.host,
        )


class _Exchange:
    """One call, run beside who waits for it."""

    def __init__(self, forwarder: Forwarder, call: Call, seconds: float) -> None:
        self.outcome: SimpleQueue[Reply | Exception] = SimpleQueue()
        self._forwarder = forwarder
        self._call = call
        self._seconds = seconds
        self._connection: HTTPConnection | None = None
        self._abandoned = False

    def run(self) -> None:
        """Puts the outcome into the queue, whatever it is."""
        try:
            self.outcome.put(self._reply())
        except Exception as error:
            if self._connection is not None:
                self._connection.close()
            self.outcome.put(error)

    def abandon(self) -> None:
        """Nobody waits any more: ends it at its next step."""
        self._abandoned = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _reply(self) -> Reply:
        kept = self._connected()
        call, connection = self._call, kept.connection
        if self._abandoned:
            raise _late()
        connection.request(
            call.method,
            call.target,
            body=call.body,
            headers=call.headers,  # type: ignore[arg-type]
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        try:
            body = _whole(response)
        finally:
            response.close()
        if not self._abandoned:
            self._forwarder.give_back(call.to, kept)
        return Reply(response.status, list(response.headers.iteritems()), body)

    def _connected(self) -> _Kept:
        kept = self._forwarder.taken(self._call.to)
        if kept is not None:
            self._connection = kept.connection
            self._connection.timeout = self._seconds
            return kept
        *others, last = self._forwarder.connections(self._call.to, self._seconds)
        for connection in others:
            try:
                return self._made(connection)
            except NewConnectionError:
                connection.close()
        return self._made(last)

    def _made(self, connection: HTTPConnection) -> _Kept:
        self._connection = connection
        connection.connect()
        return _Kept(connection, monotonic())


def _whole(response: HTTPResponse) -> bytes:
    if not 200 <= response.status <= 599:
        raise _malformed()
    body = bytearray()
    # The read after the last is the one that tells of a body that was cut off.
    while chunk := response.read(MAX_BODY + 1 - len(body)):
        body += chunk
        if len(body) > MAX_BODY:
            raise too_large()
    return bytes(body)


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case NewConnectionError():
            return _unreachable("It takes no connection.")
        case TimeoutError() | ConnectTimeoutError() | ReadTimeoutError():
            return _late()
        case HTTPError() | HTTPException():
            return _malformed()
        case OSError():
            return _unreachable("It shows no certificate of its name, or broke off.")
        case _:
            raise error


def _unreachable(why: str) -> Problem:
    return Problem(502, "upstream_unreachable", f"The upstream cannot be reached. {why}")


def too_large() -> Problem:
    """The answer cannot be handed on."""
    detail = f"The upstream's answer is above {MAX_BODY} bytes."
    return Problem(502, "upstream_too_large", detail)


def _malformed() -> Problem:
    return Problem(502, "upstream_malformed", "The upstream's answer is no whole HTTP response.")


def _late() -> Problem:
    return Problem(504, "upstream_timeout", "The upstream did not answer in time.")
