"""DynamoDB's expressions, as far as they are in use: top-level attributes, comparisons, functions.

Grammar: Amazon DynamoDB Developer Guide, "Condition and filter expressions, operators, and
functions". Document paths, `size`, `contains` and arithmetic but a sum are not emulated.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tests.support.cloud.errors import NotEmulated, invalid

Item = Mapping[str, Mapping[str, Any]]
Scalar = Any
Test = Callable[[Item, "Placeholders"], bool]
Operand = Callable[[Item, "Placeholders"], Scalar]

_TOKEN = re.compile(r"\s*([:#]?\w+|<=|>=|<>|[(),=<>])")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ABSENT = object()


@dataclass(frozen=True)
class Placeholders:
    """What `#names` and `:values` stand for in one request."""

    names: Mapping[str, str]
    values: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Placeholders:
        return cls(
            params.get("ExpressionAttributeNames", {}), params.get("ExpressionAttributeValues", {})
        )

    def check(self, *expressions: str | None) -> None:
        """Raises AWS's refusal of placeholders that are unused, or undefined."""
        used = set(re.findall(r"[:#]\w+", " ".join(filter(None, expressions))))
        defined = {*self.names, *self.values}
        if used - defined:
            raise invalid(f"placeholders {sorted(used - defined)} are not defined")
        if defined - used:
            raise invalid(f"placeholders {sorted(defined - used)} are not used in expressions")


def scalar(value: Mapping[str, Any]) -> Scalar:
    """An attribute's value in a form that compares as DynamoDB does within one type."""
    [(kind, content)] = value.items()
    return Decimal(content) if kind == "N" else content


def holds(expression: str | None, item: Item, placeholders: Placeholders) -> bool:
    """Whether a condition or filter is true of an item; an absent item is empty."""
    return expression is None or _condition(expression)(item, placeholders)


def attributes(expression: str, placeholders: Placeholders) -> list[str]:
    """The attribute names of a projection."""
    names = [name.strip() for name in expression.split(",")]
    if any(not re.fullmatch(r"#?\w+", name) for name in names):
        raise NotEmulated(f"projection {expression!r}")
    return [placeholders.names.get(name, name) for name in names]


def updated(expression: str, item: Item, placeholders: Placeholders) -> dict[str, Any]:
    """An item after an update of SET (values, other attributes, if_not_exists, and a value plus a
    number), ADD (numbers) and REMOVE clauses."""
    result = dict(item)
    for clause, match in _assignments(expression):
        _assign(clause, match, item, result, placeholders)
    return result


def assigned(expression: str, placeholders: Placeholders) -> list[str]:
    """The attribute names that an update is of."""
    names = [match["name"] for _, match in _assignments(expression)]
    return [placeholders.names.get(name, name) for name in names]


@lru_cache(maxsize=1024)
def _assignments(expression: str) -> list[tuple[str, re.Match[str]]]:
    clauses = re.split(r"\b(SET|ADD|REMOVE)\s+", expression.strip())[1:]
    return [
        (clause, _assignment(clause, assignment.strip()))
        for clause, assignments in zip(clauses[::2], clauses[1::2], strict=True)
        for assignment in re.split(r",\s*(?![^(]*\))", assignments.strip())
    ]


def _assignment(clause: str, assignment: str) -> re.Match[str]:
    match = _ASSIGNMENTS[clause].fullmatch(assignment)
    if match is None:
        raise NotEmulated(f"{clause} {assignment!r}")
    return match


def _assign(
    clause: str,
    match: re.Match[str],
    old: Item,
    result: dict[str, Any],
    placeholders: Placeholders,
) -> None:
    name = placeholders.names.get(match["name"], match["name"])
    if clause == "REMOVE":
        result.pop(name, None)
        return
    named = match.groupdict()
    if other := named.get("other"):
        source = placeholders.names.get(other, other)
        if source not in old:
            raise invalid(f"the item has no attribute {source}")
        result[name] = dict(old[source])
        return
    value = placeholders.values[named["value"] or named["plain"]]
    if clause == "ADD":
        number = Decimal(old.get(name, {"N": "0"})["N"]) + Decimal(value["N"])
        result[name] = {"N": str(number)}
        return
    unless = placeholders.names.get(named["unless"] or "", named["unless"])
    value = value if unless is None or unless not in old else dict(old[unless])
    if more := named.get("more"):
        value = {"N": str(Decimal(value["N"]) + Decimal(placeholders.values[more]["N"]))}
    result[name] = value


_ASSIGNMENTS = {
    "SET": re.compile(
        r"(?P<name>#?\w+) = (?:if_not_exists\((?P<unless>#?\w+), (?P<value>:\w+)\)"
        r"|(?P<plain>:\w+)|(?P<other>#?\w+))(?: \+ (?P<more>:\w+))?"
    ),
    "ADD": re.compile(r"(?P<name>#?\w+) (?P<value>:\w+)"),
    "REMOVE": re.compile(r"(?P<name>#?\w+)"),
}


@lru_cache(maxsize=1024)
def _condition(expression: str) -> Test:
    return _Parser(expression).parse()


class _Parser:
    """Recursive descent over one expression's tokens."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens: list[str] = []
        position = 0
        while match := _TOKEN.match(expression, position):
            self._tokens.append(match[1])
            position = match.end()
        if expression[position:].strip():
            raise NotEmulated(f"expression {expression!r} at {expression[position:]!r}")

    def parse(self) -> Test:
        test = self._any()
        if self._tokens:
            raise NotEmulated(f"expression {self._expression!r} at {self._tokens[0]!r}")
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take("OR"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda i, p: any(test(i, p) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("AND"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda i, p: all(test(i, p) for test in tests)

    def _one(self) -> Test:
        if self._take("NOT"):
            inner = self._one()
            return lambda i, p: not inner(i, p)
        if self._take("("):
            inner = self._any()
            self._need(")")
            return inner
        if len(self._tokens) > 1 and self._tokens[1] == "(":
            return self._function()
        return self._comparison()

    def _function(self) -> Test:
        name = self._next()
        self._need("(")
        subject = self._operand()
        match name:
            case "attribute_exists":
                self._need(")")
                return lambda i, p: subject(i, p) is not _ABSENT
            case "attribute_not_exists":
                self._need(")")
                return lambda i, p: subject(i, p) is _ABSENT
            case "begins_with":
                self._need(",")
                prefix = self._operand()
                self._need(")")
                return lambda i, p: str(subject(i, p)).startswith(prefix(i, p))
        raise NotEmulated(f"function {name} in {self._expression!r}")

    def _comparison(self) -> Test:
        left = self._operand()
        if self._take("BETWEEN"):
            low = self._operand()
            self._need("AND")
            high = self._operand()
            return lambda i, p: bool(low(i, p) <= left(i, p) <= high(i, p))
        sign = self._next()
        if sign not in _COMPARISONS:
            raise NotEmulated(f"{sign!r} in {self._expression!r}")
        compare, right = _COMPARISONS[sign], self._operand()

        def test(item: Item, placeholders: Placeholders) -> bool:
            one, other = left(item, placeholders), right(item, placeholders)
            if _ABSENT in (one, other) or type(one) is not type(other):
                return sign == "<>"
            return compare(one, other)

        return test

    def _operand(self) -> Operand:
        token = self._next()
        if token.startswith(":"):
            return lambda i, p: scalar(p.values[token])
        if not re.fullmatch(r"#?[A-Za-z_]\w*", token):
            raise NotEmulated(f"operand {token!r} in {self._expression!r}")

        def attribute(item: Item, placeholders: Placeholders) -> Scalar:
            name = placeholders.names[token] if token.startswith("#") else token
            return scalar(item[name]) if name in item else _ABSENT

        return attribute

    def _next(self) -> str:
        if not self._tokens:
            raise NotEmulated(f"expression {self._expression!r} ends early")
        return self._tokens.pop(0)

    def _take(self, token: str) -> bool:
        if self._tokens and self._tokens[0].upper() == token:
            self._tokens.pop(0)
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise NotEmulated(f"expression {self._expression!r} lacks {token!r}")
