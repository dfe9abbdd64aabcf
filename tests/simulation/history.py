"""What happened in a run, line by line: cheap to note, rendered only when somebody reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.clock import START

TOLD = ("pk", "sk", "n", "v", "id")
"""Attributes that say which item it is."""


class Entry(NamedTuple):
    """One line: when, who, what they did, with what, and what came of it."""

    step: int
    now: int
    actor: str
    what: str
    detail: Any
    outcome: Any
    fault: str = ""


@dataclass
class History:
    """The run so far."""

    entries: list[Entry] = field(default_factory=list)

    def note(self, *fields: Any) -> None:
        self.entries.append(Entry(*fields))

    def lines(self) -> list[str]:
        """All of it, readable."""
        return [_line(entry) for entry in self.entries]

    def digest(self) -> str:
        """What two runs share if and only if they are the same."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()


def _line(entry: Entry) -> str:
    seconds = (entry.now - START) / 1000
    fault = f"  !! {entry.fault}" if entry.fault else ""
    return (
        f"{entry.step:5d} {seconds:10.3f}s {entry.actor:<14} {entry.what:<34}"
        f" {_brief(entry.detail)} -> {_brief(entry.outcome)}{fault}"
    )


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return _request(value)
    return str(value)


def _request(params: Mapping[str, Any]) -> str:
    """The parts of an AWS call's parameters or answer that tell it from others."""
    said = []
    for name, value in params.items():
        if name in _ITEMS and isinstance(value, Mapping):
            said.append(_item(value))
        elif name == "Items":
            said.append(" ".join(map(_item, value)) or "nothing")
        elif name == "ExpressionAttributeValues":
            said.append(_item(value, all_of_it=True))
        elif name in ("ConditionExpression", "KeyConditionExpression"):
            said.append(f"if {value}" if name.startswith("Cond") else str(value))
        elif name in _UNTOLD:
            continue
        else:
            said.append(f"{name}={json.dumps(value, default=repr, sort_keys=True)}")
    return ", ".join(said)


_ITEMS = ("Item", "Key", "ExclusiveStartKey", "LastEvaluatedKey")
_UNTOLD = {
    "Body",
    "Bucket",
    "TableName",
    "QueueUrl",
    "SecretId",
    "SecretString",
    "ARN",
    # Of botocore's own making, so another each time.
    "ClientRequestToken",
    "ReturnValuesOnConditionCheckFailure",
    "ExpressionAttributeNames",
    "Count",
    "ScannedCount",
    "ResponseMetadata",
}


def _item(item: Mapping[str, Mapping[str, Any]], *, all_of_it: bool = False) -> str:
    told = {
        name: next(iter(value.values()))
        for name, value in item.items()
        if all_of_it or name in TOLD
    }
    return "{" + " ".join(f"{name}={value}" for name, value in told.items()) + "}"
