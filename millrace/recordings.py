"""Files of rules and of recorded traffic, read with the line of whatever is wrong in them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from functions.edge.limits.rules import Rulebook, decode
from functions.edge.problem import Problem
from functions.edge.validation import to_millis
from functions.ratelimiter.asking import WHOSE, asked
from functions.ratelimiter.schemas import NewRules
from millrace.errors import BenchError
from millrace.trial import Recorded

DIGITS = 19
"""No time in milliseconds has so many."""
COLUMNS = ("at", *sorted({*WHOSE, "cost"}))


def document(path: Path) -> Any:
    """What a file holds of YAML, or of JSON, which is a kind of it, as it would come over HTTP,
    which knows no dates. Raises BenchError."""
    try:
        return json.loads(json.dumps(yaml.safe_load(_text(path)), default=str))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BenchError(f"{path}:{line}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BenchError(f"{path}: is neither YAML nor JSON") from error


def rules_in(path: Path) -> Rulebook:
    """The rules and lists in a file, as PUT /v1/rules takes them. Raises BenchError, which names
    every fault."""
    try:
        found = NewRules.model_validate_json(json.dumps(document(path)))
    except ValidationError as error:
        root = yaml.compose(_text(path), Loader=yaml.SafeLoader)
        raise BenchError(
            "; ".join(
                f"{path}:{_line(root, fault['loc'])}: {_field(fault['loc'])}{_reason(fault)}"
                for fault in error.errors(include_url=False)
            )
        ) from error
    return decode(found.text())


def rules_of(shown: Mapping[str, Any]) -> Rulebook:
    """The rules and lists that GET /v1/rules has answered with."""
    known = {name: shown[name] for name in NewRules.model_fields}
    return decode(NewRules.model_validate_json(json.dumps(known)).text())


def traffic_in(path: Path, limit: int | None) -> Iterator[Recorded]:
    """The requests of a recording, at most so many of its first. Raises BenchError at one that
    is none."""
    read = READERS.get(path.suffix)
    if read is None:
        raise BenchError(f"{path}: is neither .ndjson, .jsonl nor .csv")
    for line, given in islice(read(path), limit):
        try:
            yield _recorded(given)
        except Problem as problem:
            faults = problem.errors or [{"field": "", "reason": problem.detail}]
            raise BenchError(
                "; ".join(f"{path}:{line}: {_named(fault)}" for fault in faults)
            ) from problem


def lines_in(path: Path) -> int:
    """How many lines a file has, about."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _recorded(given: Any) -> Recorded:
    if not isinstance(given, dict):
        raise _fault("", "is not an object")
    at = given.pop("at", None)
    if isinstance(at, str) and at.isascii() and at.isdecimal() and len(at) < DIGITS:
        at = int(at)
    if type(at) is not int or at < 0:
        try:
            at = to_millis(at)
        except ValueError as error:
            raise _fault("at", f"is {error}, nor epoch milliseconds") from None
    return Recorded(at, asked(given))


def _ndjson(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8") as file:
        for line, text in enumerate(_decoded(path, file), 1):
            if not text.strip():
                continue
            try:
                yield line, json.loads(text)
            except (ValueError, RecursionError):
                raise BenchError(f"{path}:{line}: is not a JSON document") from None


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(_decoded(path, file))
        try:
            yield from _rows(path, reader)
        except csv.Error as error:
            raise BenchError(f"{path}:{reader.reader.line_num}: {error}") from error


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, Any]]:
    unknown = sorted(set(reader.fieldnames or ()) - set(COLUMNS))
    if unknown:
        raise BenchError(f"{path}:1: {unknown[0]}: is none of {', '.join(COLUMNS)}")
    for row in reader:
        if None in row:
            raise BenchError(f"{path}:{reader.line_num}: has more cells than the header")
        yield reader.line_num, {name: _cell(name, text) for name, text in row.items() if text}


READERS = {".ndjson": _ndjson, ".jsonl": _ndjson, ".csv": _csv}


def _cell(name: str, text: str) -> Any:
    if name in ("cost", "headers"):
        try:
            return json.loads(text)
        except ValueError:
            # What it is not is said of it as of any other.
            return text
    return text


def _decoded(path: Path, file: Any) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: is not UTF-8 text") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: is not UTF-8 text") from error


def _line(node: yaml.Node | None, place: tuple[str | int, ...]) -> int:
    """The line of a place in a document, or of what is nearest around it."""
    line = 1
    for step in (*place, None):
        if node is None:
            return line
        line = node.start_mark.line + 1
        node = _below(node, step)
    return line


def _below(node: yaml.Node, step: str | int | None) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    return None


def _field(place: tuple[str | int, ...]) -> str:
    return f"{'.'.join(map(str, place))}: " if place else ""


def _reason(fault: Any) -> str:
    cause = fault.get("ctx", {}).get("error")
    return str(cause or fault["msg"])


def _named(fault: Mapping[str, str]) -> str:
    return f"{fault['field']}: {fault['reason']}" if fault["field"] else fault["reason"]


def _fault(field: str, reason: str) -> Problem:
    return Problem(422, "invalid", reason, [{"field": field, "reason": reason}])
