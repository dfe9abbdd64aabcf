"""Clients whose every send, the SDK's own repeats included, passes through layers of ours.

botocore lets one handler answer a request before it is sent, and that is how moto works. Ours
takes moto's place on each client and asks moto itself, at the end of the chain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import unescape

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from moto.core.models import botocore_stubber

from functions.edge.clients import CONFIG, OWN
from tests.support import query_protocol
from tests.support.access import Access, accesses
from tests.support.interleave import pause


@dataclass
class Call:
    """One request as it was sent: `order` counts all of a stack's calls from 0.

    `outcome` is "ok", AWS's error code, or the name of the exception that came instead of an
    answer. `reached` says whether the backend saw it. The units are AWS capacity units.
    """

    function: str
    service: str
    operation: str
    params: Mapping[str, Any]
    url: str
    order: int
    accesses: frozenset[Access]
    outcome: str = ""
    reached: bool = False
    rcu: float = 0
    wcu: float = 0
    index_wcu: float = 0

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


_KEYS = re.compile("<Key>(.*?)</Key>")
_CODE = re.compile("<Code>(.*?)</Code>")

Send = Callable[[], AWSResponse]
Layer = Callable[[Call, Send], AWSResponse]


class Wire:
    """Makes clients; each call is handed to `record`, then goes through `layers`, outermost
    first, to moto. `names` gives logical names for physical ones."""

    def __init__(
        self, names: Mapping[str, str], record: Callable[[Call], None], *layers: Layer
    ) -> None:
        self._names = names
        self._record = record
        self._layers = layers
        self._sent = 0

    def client(self, function: str, service: str, deadline_ms: int = 0, region: str = "") -> Any:
        """A client of its own for one function; retries as in production."""
        client = _make_client(service, 1 if deadline_ms else None, region)

        def before_send(request: Any, event_name: str, **_: Any) -> AWSResponse:
            return self._send(function, service, event_name.rpartition(".")[2], request)

        client.meta.events.unregister("before-send", botocore_stubber)
        client.meta.events.register("before-send", before_send)
        return client

    def _send(self, function: str, service: str, operation: str, request: Any) -> AWSResponse:
        params = _s3_parameters(request) if service == "s3" else _parameters(request.body)
        needed = accesses(service, operation, params, self._names)
        # Before the call takes its number, so that `order` is the order of arrival.
        pause()
        call = Call(function, service, operation, params, request.url, self._sent, needed)
        self._sent += 1
        self._record(call)
        send = _moto(operation, request)
        for layer in reversed(self._layers):
            send = _through(layer, call, send)
        try:
            response = send()
        except BaseException as failure:
            call.outcome = type(failure).__name__
            raise
        call.outcome = error_code(response) or "ok"
        return response


@cache
def bare_client(service: str, region: str = "") -> Any:
    """A client that talks to moto alone: unmetered and never failed."""
    return _make_client(service, region=region)


def _make_client(service: str, attempts: int | None = None, region: str = "") -> Any:
    # With account ids in host names, moto knows no dynamodbstreams and answers 404.
    own = OWN.get(service, CONFIG)
    config = own.merge(Config(account_id_endpoint_mode="disabled"))
    if attempts is not None:
        config = config.merge(Config(retries={"total_max_attempts": attempts}))
    return _session().create_client(service, region_name=region or None, config=config)


def error_code(response: AWSResponse) -> str | None:
    """AWS's code for a failed call, None for a successful one."""
    if response.status_code < 300:
        return None
    text = response.content.decode()
    if found := _CODE.search(text):
        return found[1]
    if not text:
        return str(response.status_code)
    return str(json.loads(text)["__type"]).rpartition("#")[2]


@cache
def _session() -> Any:
    return botocore.session.get_session()


def _parameters(body: bytes | str | None) -> Mapping[str, Any]:
    text = body.decode() if isinstance(body, bytes) else body or ""
    if text.startswith("{"):
        return dict(json.loads(text))
    return query_protocol.parameters(text)


def _s3_parameters(request: Any) -> Mapping[str, Any]:
    """A bucket and what is in it, as addresses name them; but for a deletion, whose body does."""
    address = urlsplit(request.url)
    # A bucket that is not all lower case, as ours are here, stands in the path.
    bucket, _, key = unquote(address.path).removeprefix("/").partition("/")
    params: dict[str, Any] = {"Bucket": bucket, "Key": key, **dict(parse_qsl(address.query))}
    if address.query == "delete":
        params["Keys"] = [unescape(found) for found in _KEYS.findall(request.body.decode())]
    return params


def _moto(operation: str, request: Any) -> Send:
    def send() -> AWSResponse:
        response = botocore_stubber(operation, request)
        if response is None:
            raise RuntimeError(f"{operation} would leave the machine: is the stack closed?")
        return response

    return send


def _through(layer: Layer, call: Call, send: Send) -> Send:
    return lambda: layer(call, send)
