"""The rows that the INSERT statements of a MySQL dump hold, by mysqldump, phpMyAdmin or others.

Source: MySQL 8.0 Reference Manual, 9.1.1 "String Literals" and 9.7 "Comments". Conditional
comments (/*! */) are skipped: dumps set variables in them, and insert nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --(?=\s|\Z)[^\n]* | \#[^\n]* | /\*.*?\*/ )
    | (?P<hex> 0[xX][0-9A-Fa-f]++ | [xX]'[0-9A-Fa-f]*+' )
    | (?P<string> '(?:[^'\\]++|\\.|'')*+' | "(?:[^"\\]++|\\.|"")*+" )
    | (?P<name> `(?:[^`]++|``)*+` )
    | (?P<mark> [(),;] )
    | (?P<word> (?:[^\s'"`(),;/]|/(?!\*))++ )
    | (?P<cut> . .* )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = {quote: re.compile(rf"\\(.)|{quote}({quote})", re.DOTALL) for quote in "'\""}
"""By the quotes that a string stands in: only they are doubled within it."""
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_KEPT = ("%", "_")
"""Escaped, these keep their backslash."""
_NO_COLUMN = {"primary", "key", "unique", "index", "constraint", "fulltext", "spatial", "check"}


class Token(NamedTuple):
    kind: str
    text: str
    line: int


class Inserted(NamedTuple):
    """A row that an INSERT gives a table. `columns` are those that the statement names, else those
    of the table's CREATE, else none; a value that is an expression is None, as NULL is, and
    `whole` is False where the dump ends within the row."""

    line: int
    table: str
    columns: tuple[str, ...]
    values: tuple[str | None, ...]
    whole: bool


def inserted(dump: str) -> Iterator[Inserted]:
    """The rows of every INSERT and REPLACE, in order."""
    created: dict[str, tuple[str, ...]] = {}
    for statement in _statements(dump):
        verb = statement[0].text.upper()
        if verb == "CREATE":
            table, columns, _ = _head(statement)
            created[table] = columns
        elif verb in ("INSERT", "REPLACE"):
            table, columns, rest = _head(statement)
            for line, values, whole in _groups(rest):
                yield Inserted(line, table, columns or created.get(table, ()), values, whole)


def _statements(dump: str) -> Iterator[list[Token]]:
    statement: list[Token] = []
    line = 1
    for match in _TOKEN.finditer(dump):
        kind, found = match.lastgroup or "", match.group()
        if found == ";":
            if statement:
                yield statement
            statement = []
        elif kind != "space":
            statement.append(Token(kind, found, line))
        line += found.count("\n")
    if statement:
        yield statement


def _head(statement: Sequence[Token]) -> tuple[str, tuple[str, ...], Sequence[Token]]:
    """The table that a statement is about, the columns in parentheses after its name, and what
    stands after VALUES."""
    end = next((i for i, t in enumerate(statement) if t.text.upper() in ("VALUES", "VALUE")), None)
    head, rest = statement[:end], statement[end + 1 :] if end is not None else ()
    opening = next((i for i, token in enumerate(head) if token.text == "("), len(head))
    columns, depth, first = [], 0, False
    for token in head[opening:]:
        if first and token.kind in ("name", "word") and token.text.lower() not in _NO_COLUMN:
            columns.append(_name(token).lower())
        depth += (token.text == "(") - (token.text == ")")
        first = depth == 1 and token.text in ("(", ",")
    return _name(head[opening - 1]).rpartition(".")[2], tuple(columns), rest


def _groups(tokens: Sequence[Token]) -> Iterator[tuple[int, tuple[str | None, ...], bool]]:
    """What stands in parentheses up to the first word that does not: line, values, and whether it
    was closed."""
    depth, line = 0, 0
    values: list[list[Token]] = []
    for token in tokens:
        before = depth
        depth += (token.text == "(") - (token.text == ")")
        if before == 0:
            if token.text not in ("(", ","):
                return
            line, values = token.line, [[]]
        elif depth == 0:
            yield line, tuple(map(_value, values)), True
        elif before == 1 and token.text == ",":
            values.append([])
        else:
            values[-1].append(token)
    if depth:
        yield line, tuple(map(_value, values)), False


def _value(tokens: Sequence[Token]) -> str | None:
    # Before a literal there may be its character set: _utf8mb4'...', N'...'.
    if not tokens or len(tokens) > 2 or (len(tokens) == 2 and tokens[0].kind != "word"):
        return None
    kind, found, _ = tokens[-1]
    if kind == "string":
        return _ESCAPE[found[0]].sub(_unescaped, found[1:-1])
    if kind == "hex":
        digits = found[2:].rstrip("'")
        return bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)).decode(
            errors="surrogateescape"
        )
    return found if kind == "word" and found.upper() != "NULL" else None


def _unescaped(match: re.Match[str]) -> str:
    char, doubled = match.groups()
    if doubled:
        return str(doubled)
    return f"\\{char}" if char in _KEPT else _ESCAPED.get(char, char)


def _name(token: Token) -> str:
    return token.text[1:-1].replace("``", "`") if token.kind == "name" else token.text
