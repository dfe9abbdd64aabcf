"""Looking into a stream: its events, its state at some moment, what changed between two."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from functions.edge.validation import to_millis, to_text
from functions.kernel.codec import to_data
from functions.kernel.history import version_at
from functions.kernel.store import Commit, Stream, kind_of, load
from millrace.capability import Capability, find, names
from millrace.deployment import Deployment
from millrace.errors import BenchError

PAGE = 100
DIGITS = 19
"""No version has so many."""
Entry = dict[str, Any]


def locate(deployment: Deployment, text: str) -> tuple[Capability, str]:
    """The capability and stream id that `text` means: shortener/<code>, shortener/<stream id>, or
    a stream id alone, which is looked for where there are streams of its kind. Raises
    BenchError."""
    name, slash, rest = text.partition("/")
    if slash and "#" not in name:
        candidates, stream = [find(name, deployment)], rest
    elif "#" in text:
        known = [find(each, deployment) for each in names()]
        candidates, stream = [each for each in known if kind_of(text) in each.kinds], text
    else:
        raise BenchError(f"{text!r} is neither <capability>/<id> nor a stream id as link#default#a")
    for capability in candidates:
        wanted = capability.stream_id(stream)
        if next(capability.store.backward(wanted, limit=1), None) is not None:
            return capability, wanted
    raise BenchError(f"there is no stream {text}")


def events(capability: Capability, stream: str) -> Iterator[Entry]:
    """Every event as it is stored, oldest first: what cannot be decoded can still be seen."""
    place, more = 0, True
    while more:
        commits, more = capability.store.forward(stream, after=place, limit=PAGE)
        for commit in commits:
            yield from _entries(commit)
            place = commit.after


def _entries(commit: Commit) -> Iterator[Entry]:
    for version, (kind, schema, data) in enumerate(json.loads(commit.events), commit.before + 1):
        yield {
            "version": version,
            "type": kind,
            "schema": schema,
            "at": to_text(commit.metadata.at),
            "actor": commit.metadata.actor,
            "data": data,
        }


def at(capability: Capability, stream: str, moment: str) -> Entry:
    """The state at a version or an RFC 3339 time. Raises BenchError."""
    current = load(capability.store, capability.decider(stream), stream)
    then = _version(capability, current, moment)
    wanted = load(capability.store, capability.decider(stream), stream, version=then)
    if wanted.version != then:
        raise BenchError(f"{stream} was purged of version {then}")
    return {
        "stream": stream,
        "version": wanted.version,
        "of": current.version,
        "at": to_text(wanted.at),
        "state": to_data(wanted.state),
    }


def diff(capability: Capability, stream: str, before: str, after: str) -> Entry:
    """The fields whose values differ between two versions or times. Raises BenchError."""
    old, new = at(capability, stream, before), at(capability, stream, after)
    fields = sorted(old["state"].keys() | new["state"].keys())
    pairs = {name: (old["state"].get(name), new["state"].get(name)) for name in fields}
    return {
        "stream": stream,
        "from": old["version"],
        "to": new["version"],
        "changed": {
            name: {"from": left, "to": right}
            for name, (left, right) in pairs.items()
            if left != right
        },
    }


def _version(capability: Capability, current: Stream[Any], moment: str) -> int:
    if moment.isascii() and moment.isdecimal():
        # Python turns no text of thousands of digits into a number.
        version = int(moment) if len(moment) < DIGITS else sys.maxsize
    else:
        try:
            version = version_at(capability.store, current, to_millis(moment))
        except ValueError as error:
            raise BenchError(f"{moment!r} is neither a version nor {error}") from None
    if not 1 <= version <= current.version:
        raise BenchError(f"{current.id} has versions 1 to {current.version}, none at {moment}")
    return version
