"""The query protocol, which SNS speaks: parameters as a form, answers as XML.

Source: botocore's serializer and parser of the protocol, whose other side this is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

_CODE = re.compile(rb"<Code>(.+?)</Code>")


def parameters(text: str) -> dict[str, Any]:
    """Parameters as botocore takes them from the query protocol's: `Entries.member.1.Id` is the Id
    of the first of Entries, `Names.entry.1.Name` with `.Value` the first of a map. The two fields
    that name the call are left out."""
    tree: dict[str, Any] = {}
    for path, value in parse_qsl(text, keep_blank_values=True):
        *outer, last = path.split(".")
        place = tree
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = value
    return {name: _collected(e) for name, e in tree.items() if name not in ("Action", "Version")}


def _collected(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "member" in value:
        members = sorted(value["member"].items(), key=lambda pair: int(pair[0]))
        return [_collected(member) for _, member in members]
    if "entry" in value:
        entries = value["entry"].values()
        return {entry["Name"]: _collected(entry["Value"]) for entry in entries}
    return {name: _collected(element) for name, element in value.items()}


def answer(operation: str, body: Mapping[str, Any]) -> bytes:
    """A successful answer's content."""
    inner = _elements(body)
    return (
        f"<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>"
    ).encode()


def refusal(code: str, message: str = "") -> bytes:
    """A failed answer's content."""
    inner = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    return f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>".encode()


def code(content: bytes) -> str:
    """The error code in a failed answer's content."""
    found = _CODE.search(content)
    return found[1].decode() if found else ""


def _elements(value: Any) -> str:
    match value:
        case Mapping():
            return "".join(f"<{name}>{_elements(each)}</{name}>" for name, each in value.items())
        case list():
            return "".join(f"<member>{_elements(each)}</member>" for each in value)
        case bool():
            return str(value).lower()
    return escape(str(value))
