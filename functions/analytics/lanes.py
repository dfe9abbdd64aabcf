"""Lanes follow traffic: a site whose minutes fill their buckets spreads later ones wider. Pure.

A bucket is one partition, and is read whole for every batch of the stream that tells of it. At some
450 bytes a fact, FULL facts are 550 read units every five seconds, 4 % of what a partition gives
(3,000 a second; DynamoDB Developer Guide, "Partitions and data distribution"), and 83 writes a
second, 8 % of its 1,000. So until new lanes hold, and each growth only doubles them, traffic may
grow twelvefold.
"""

from __future__ import annotations

from collections.abc import Mapping

from functions.analytics.decider import MAX_LANES, Definition, GrowLanes, Site
from functions.analytics.facts import minute_of
from functions.analytics.hours import Bucket

FULL = 5_000
"""Facts of a minute in one bucket."""
AHEAD = 20
"""Minutes from which lanes that are grown now hold: five more than the decider demands, for the
time in which the command may be tried again."""


def growth(site: Definition, buckets: Mapping[Bucket, int], now: int) -> GrowLanes | None:
    """The command for a site of which buckets have seen so many facts each; none where their
    minutes had fewer lanes than there are, or there are MAX_LANES."""
    since, number = site.lanes[-1]
    full = any(seen > FULL and minute >= since for (minute, _), seen in buckets.items())
    spreads = isinstance(site, Site) and not site.deleted and site.ledger == "exact"
    if not full or not spreads or number >= MAX_LANES:
        return None
    return GrowLanes(min(2 * number, MAX_LANES), minute_of(now) + AHEAD, now)
