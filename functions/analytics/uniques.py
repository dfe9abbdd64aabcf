"""How many visitors there were in a span of hours, from rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from functions.analytics.cells import Cell, Row
from functions.analytics.facts import day_of, hours_of
from functions.analytics.rollups import Tally
from functions.analytics.sketches import estimate, is_exact, merge


class Numbers(NamedTuple):
    """What is counted of some hours or minutes; `revision` as in Cell, of all of them. `exact` is
    whether the visitors are no estimate."""

    events: int = 0
    pageviews: int = 0
    visitors: int = 0
    revision: int = 0
    exact: bool = True


def tallied(tally: Tally, revision: int = 0) -> Numbers:
    """The numbers of a tally."""
    return Numbers(tally.events, tally.pageviews, len(tally.visitors), revision)


def counted(rows: Mapping[str, Row], hours: range) -> Numbers:
    """The numbers of some hours, from a value's rows by day.

    An hour's visitors are exact. Those of whole days are the union of the days' sets. Of a day
    that is only in part among the hours, nobody knows which visitors came in that part: it counts
    with the share that the part has of the day's hourly visitors. Never are they fewer than came
    in the best hour.
    """
    wanted = map(day_of, range(hours.start // 24 * 24, hours.stop, 24))
    days = {
        day: found
        for day in wanted
        if (row := rows.get(day)) and (found := _within(row, day, hours))
    }
    cells = [cell for found in days.values() for cell in found]
    visitors, exact = _visitors(rows, days, cells)
    return Numbers(
        sum(cell.events for cell in cells),
        sum(cell.pageviews for cell in cells),
        visitors,
        sum(cell.revision for cell in cells),
        exact,
    )


def _visitors(
    rows: Mapping[str, Row], days: Mapping[str, list[Cell]], cells: list[Cell]
) -> tuple[int, bool]:
    if len(cells) <= 1:
        return sum(cell.visitors for cell in cells), True
    shares = {day: _share(rows[day], found) for day, found in days.items()}
    whole = merge(rows[day].visitors for day, share in shares.items() if share == 1)
    parts = [(share, rows[day].visitors) for day, share in shares.items() if share < 1]
    visitors = round(_expected(whole, parts))
    return max(visitors, *(cell.visitors for cell in cells)), is_exact(whole) and not parts


def _expected(union: bytes, parts: list[tuple[float, bytes]]) -> float:
    """How many visitors to expect in a union and in each of the parts with its probability.

    This is the multilinear extension of the size of a union, which grows with each share
    (Calinescu, Chekuri, Pal and Vondrak, 2011, https://doi.org/10.1137/080733991). A span has at
    most two parts, its first day and its last.
    """
    if not parts:
        return estimate(union)
    (share, visitors), *rest = parts
    without = _expected(union, rest)
    return without + share * max(0, _expected(merge([union, visitors]), rest) - without)


def _within(row: Row, day: str, hours: range) -> list[Cell]:
    first = hours_of(day).start
    return [cell for place, cell in sorted(row.cells.items()) if first + place in hours]


def _share(row: Row, cells: list[Cell]) -> float:
    """How much of a day's hourly visitors are in some of its cells; 1 if nothing is in others."""
    everything = sum(cell.events for cell in row.cells.values())
    if sum(cell.events for cell in cells) == everything:
        return 1
    return sum(c.visitors for c in cells) / (sum(c.visitors for c in row.cells.values()) or 1)
