"""Building what is counted of a site anew from its ledger, day by day, with somebody watching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from functions.analytics import audience, links
from functions.analytics.compaction import Compaction
from functions.analytics.decider import DECIDER, Definition, Site, stream_id
from functions.analytics.definitions import REMEMBERED_MS, Definitions
from functions.analytics.folding import Folder
from functions.analytics.hours import Hours
from functions.analytics.ledger import ExactLedger
from functions.analytics.marks import Marks
from functions.analytics.objects import Objects
from functions.analytics.rebuilding import FactsGone, Rebuild, hours_to_build, is_kept
from functions.analytics.rolling import Roller
from functions.analytics.rows import Rows
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from functions.kernel.views import ViewTable
from millrace.deployment import Deployment
from millrace.errors import BenchError
from millrace.replaying import MARGIN_SECONDS, wait_until

CAPABILITY, ROLLUPS = "analytics", "rollups"
"""What is rebuilt here is no view, but named like one."""
ROLL, FOLD, COMPACT, STATS = "AnalyticsRoll", "AnalyticsFold", "AnalyticsCompact", "AnalyticsStats"


@dataclass(frozen=True)
class Rebuilt:
    """Days of a site that were built anew, and how many rows were written."""

    site: str
    days: list[str]
    hours: int
    rows: int


@dataclass(frozen=True)
class Watcher:
    """Who is told how it goes: seconds still to wait, the number of steps, each step."""

    waiting: Callable[[float], None]
    total: Callable[[int], None]
    step: Callable[[], None]


class Rebuilding:
    """The rebuild of one site on one deployment, wired as the site's own functions are."""

    def __init__(self, deployment: Deployment, site: str) -> None:
        self._deployment = deployment
        self._runtime = runtime = deployment.runtime(FOLD)
        env = {**deployment.runtime(COMPACT).env, **runtime.env}
        client, now, backoff = runtime.client("dynamodb"), runtime.now, runtime.backoff()
        rollups = env["ROLLUPS_TABLE"]
        self._store = DynamoStore(client, env["EVENTS_TABLE"], backoff)
        self._views = ViewTable(client, deployment.runtime(STATS).env["VIEWS_TABLE"], backoff)
        self._site, self._changed_at = self._find(site)
        define = Definitions(self._store, now).of
        hours = Hours(client, rollups, runtime.client("sqs"), env["HOURS_QUEUE_URL"], backoff)
        rows = Rows(client, rollups, backoff)
        objects = Objects(runtime.client("s3"), env["RAW_BUCKET"])
        self._rebuild = Rebuild(
            hours,
            rows,
            Folder(ExactLedger(client, env["FACTS_TABLE"]).read, define, hours, now),
            Compaction(objects, hours, Marks(client, rollups), define, now),
            Roller(define, hours, rows, now),
            now,
            backoff,
        )

    def run(self, first: str, last: str, wait: float | None, watcher: Watcher) -> Rebuilt:
        """Builds the days from `first` to `last`, which is included. `wait` in seconds replaces
        the time in which containers may go by what the site was before it was changed last.
        Raises BenchError for days that cannot be built."""
        days = {day: self._hours_of(day) for day in _days(first, last)}
        watcher.total(2 * sum(map(len, days.values())))
        # Whoever rolls the first of these hours up again must do it by what is declared now.
        known = REMEMBERED_MS / 1000 + self._deployment.timeout(ROLL) + MARGIN_SECONDS
        until = self._changed_at + (known if wait is None else wait) * 1000
        wait_until(until, self._runtime, watcher.waiting)
        try:
            rows = sum(self._build(hours, watcher.step) for hours in days.values())
        except FactsGone as error:
            raise BenchError(str(error)) from error
        return Rebuilt(self._site.id, list(days), sum(map(len, days.values())), rows)

    def _build(self, hours: range, step: Callable[[], None]) -> int:
        for hour in hours:
            self._rebuild.prepare(self._site, hour)
            step()
        self._rebuild.begin(self._site, hours)
        rows = 0
        for hour in hours:
            rows += self._rebuild.roll(self._site, hour)
            step()
        return rows

    def _find(self, name: str) -> tuple[Definition, int]:
        """A site or a link, and when it was changed last. Raises BenchError."""
        if links.is_link(name):
            domain, _, code = name.removeprefix(links.PREFIX).partition("/")
            if audience.find(self._views, domain, code) is None:
                raise BenchError(f"there is no short link {name}: say link:<domain>/<code>")
            return links.definition(name), 0
        stream = load(self._store, DECIDER, stream_id(name))
        site: Site | None = stream.state
        if site is None:
            raise BenchError(f"there is no site {name}")
        if site.deleted:
            raise BenchError(f"site {name} was deleted")
        return site, stream.at

    def _hours_of(self, day: str) -> range:
        site, now = self._site, self._runtime.now()
        if not is_kept(site, day, now):
            kept = f"{site.retention_days} days"
            raise BenchError(f"facts of {day} are gone: {site.id} keeps them for {kept}")
        hours = hours_to_build(site, day, now)
        if not hours:
            raise BenchError(f"{day} has not begun")
        return hours


def _days(first: str, last: str) -> Iterator[str]:
    begin, end = _date(first), _date(last)
    if end < begin:
        raise BenchError(f"--until {last} is before --day {first}")
    for number in range((end - begin).days + 1):
        yield (begin + timedelta(number)).isoformat()


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BenchError(f"{text} is no day: say it as 2030-01-31") from None
