"""Broken variants of analytics; see tests/simulation/mutants.py."""

from __future__ import annotations

from functools import partial

from tests.simulation.mutants import Mutant as AnyMutant

Mutant = partial(AnyMutant, world="analytics")

MUTANTS = (
    Mutant(
        "ADD instead of refold",
        "analytics/cells.py",
        "Cell(version, *numbers, cell",
        "Cell(version, *map(sum, zip(numbers, cell[1:4])), cell",
        "whatever is counted twice stays counted twice",
    ),
    Mutant(
        "segment without its guard",
        "analytics/hours.py",
        'f"attribute_not_exists(pk) OR {guard} OR (seen = :seen AND gone_at < :gone_at)"',
        '"attribute_not_exists(pk) OR attribute_exists(pk)"',
        "who read before and writes after takes facts away",
    ),
    Mutant(
        "row without its guard",
        "analytics/rows.py",
        '                "ConditionExpression": "v = :v",\n',
        '                "ConditionExpression": "v = :v OR attribute_exists(pk)",\n',
        "of two hours of a day that are rolled up at once one is lost",
    ),
    Mutant(
        "seen < inverted",
        "analytics/hours.py",
        '"seen < :seen"',
        '"seen > :seen"',
        "a minute stays as it was seen first",
    ),
    Mutant(
        "older hour over a newer one",
        "analytics/cells.py",
        "    if version <= cell.version or (same and not unnoted):\n",
        "    if same and not unnoted:\n",
        "who read before and writes after takes facts away",
    ),
    Mutant(
        "dirty mark lost",
        "analytics/folding.py",
        "return self._hours.mark(Dirty(site, hour), delay(most), now)",
        "return False",
        "an hour is never rolled up",
    ),
    Mutant(
        "sweep goes by segments alone",
        "analytics/catching.py",
        "            if not missing and self._is_unrolled(defined, work.hour, read):\n",
        "            if False:\n",
        "who wrote a segment and died before the mark, each time, leaves it uncounted",
    ),
    Mutant(
        "marked only if something was written",
        "analytics/folding.py",
        "            most = max([self._put(site, hour, each, until)"
        " for each in sorted(buckets)])\n",
        "            before = self._hours.read(site, hour).buckets\n"
        "            most = max([self._put(site, hour, each, until)"
        " for each in sorted(buckets)])\n"
        "            if self._hours.read(site, hour).buckets == before:\n"
        "                return False\n",
        "who wrote the segment may have died before it marked the hour",
    ),
    Mutant(
        "mark taken away after the hour was read",
        "analytics/rolling.py",
        "        self._hours.unmark(dirty)\n"
        "        if defined is None:\n"
        "            return 0\n"
        "        read = self._hours.read(dirty.site, dirty.hour)\n",
        "        if defined is None:\n"
        "            return 0\n"
        "        read = self._hours.read(dirty.site, dirty.hour)\n"
        "        self._hours.unmark(dirty)\n",
        "what came in between has no mark, and nobody looks again",
    ),
    Mutant(
        "mark noted, nobody told",
        "analytics/hours.py",
        "        self._send(dirty, delay)\n        return True\n",
        "        return True\n",
        "every hour waits for the sweep",
    ),
    Mutant(
        "hour read as a replica has it",
        "analytics/hours.py",
        "since: int | None = None, consistent: bool = True\n",
        "since: int | None = None, consistent: bool = False\n",
        "the mark is gone, and what it stood for was not seen",
    ),
    Mutant(
        "salt of whatever period is known",
        "analytics/salts.py",
        "        if period not in self._known:\n"
        "            self._known[period] = self._read(period) or self._make(period)\n"
        "        return self._known[period]\n",
        "        if not self._known:\n"
        "            self._known[period] = self._read(period) or self._make(period)\n"
        "        return next(iter(self._known.values()))\n",
        "visitors are followed beyond the end of the period",
    ),
    Mutant(
        "salt made though there is one",
        "analytics/salts.py",
        '                ConditionExpression="attribute_not_exists(pk)",\n'
        '                ReturnValuesOnConditionCheckFailure="ALL_OLD",\n',
        "",
        "a visitor is another one in each container",
    ),
    Mutant(
        "salts stay",
        "analytics/salts.py",
        '            if int(item["gone_at"]["N"]) * 1000 <= now:\n',
        "            if False:\n",
        "visitors can be told again from their addresses for ever",
    ),
    Mutant(
        "last body wins",
        "analytics/ledger.py",
        '                ConditionExpression="attribute_not_exists(pk)",\n'
        '                ReturnValuesOnConditionCheckFailure="ALL_OLD",\n',
        "",
        "a fact becomes another one",
    ),
    Mutant(
        "pointer passed over",
        "analytics/ledger.py",
        '            fact = fact._replace(at=int(standing["to"]["N"]))\n',
        "            pass\n",
        "a repeat of which the clock is corrected otherwise is counted again",
    ),
    Mutant(
        "no pointers",
        "analytics/ledger.py",
        "        if minute_of(fact.at) != minute_of(sent_as):\n",
        "        if False:\n",
        "a repeat of which the clock is corrected otherwise is counted again",
    ),
    Mutant(
        "pointers counted",
        "analytics/ledger.py",
        '            yield from (decode(item["f"]["S"])'
        ' for item in answer["Items"] if "f" in item)\n',
        "            for item in answer['Items']:\n"
        "                site, _, _ = key.rsplit('#', 2)\n"
        "                at = int(item.get('to', {}).get('N', 0))\n"
        "                seen = Fact(item['sk']['S'], site, at, '?')\n"
        '                yield decode(item["f"]["S"]) if "f" in item else seen\n',
        "an event of a wrong clock counts twice",
    ),
    Mutant(
        "lanes known for a day",
        "analytics/hotsites.py",
        "FRESH_MS = 60_000\n",
        "FRESH_MS = 86_400_000\n",
        "a repeat is looked for in another lane than its fact is in",
    ),
    Mutant(
        "old hour folded in part",
        "analytics/folding.py",
        "            most = self.fold_all(defined, hour)\n",
        "            until = gone_at(hour, defined.phase, now)\n"
        "            most = max([self._put(site, hour, each, until)"
        " for each in sorted(buckets)])\n",
        "what comes after the segments are gone is never counted",
    ),
    Mutant(
        "sketch replaced",
        "analytics/cells.py",
        "merge([row.visitors, visitors])",
        "visitors",
        "a day has the visitors of its last hour",
    ),
    Mutant(
        "listed once and for all",
        "analytics/rows.py",
        "        if value not in entries or entries[value].version < entry.version:\n",
        "        if value not in entries:\n",
        "a list stays as it was",
    ),
    Mutant(
        "older entry over a newer one",
        "analytics/rows.py",
        "        if value not in entries or entries[value].version < entry.version:\n",
        "        if True:\n",
        "who read before and writes after sets a list back",
    ),
    Mutant(
        "only changed rows are offered to lists",
        "analytics/rows.py",
        "            offers[rollup][value] = Entry(*row.total, row.version)\n",
        "            if row.version != before[rollup, value].version:\n"
        "                offers[rollup][value] = Entry(*row.total, row.version)\n",
        "who wrote the row may have died before it wrote the list",
    ),
    Mutant(
        "opting out ignored",
        "analytics/handlers/track.py",
        "        if opted_out(request.headers):\n",
        "        if False:\n",
        "who asked not to be followed is",
    ),
    Mutant(
        "every change is a revision",
        "analytics/cells.py",
        "cell.revision + (late and not same))",
        "cell.revision + (not same))",
        "revisions tell nothing",
    ),
    Mutant(
        "no change is a revision",
        "analytics/cells.py",
        "cell.revision + (late and not same))",
        "cell.revision)",
        "what was final has changed, and nothing says so",
    ),
    Mutant(
        "compaction counts every line",
        "analytics/bulk.py",
        "yield fact, fact.id != last",
        "yield fact, True",
        "what came twice is counted twice for good",
    ),
    Mutant(
        "raw deleted before the compacted object stands",
        "analytics/compaction.py",
        "        if not self._objects.replace(",
        "        self._objects.delete(found.raw)\n        if not self._objects.replace(",
        "who dies in between has lost an hour",
    ),
    Mutant(
        "compacted object written over whatever stands there",
        "analytics/objects.py",
        'condition = {"IfNoneMatch": "*"} if before.etag is None else {"IfMatch": before.etag}',
        "condition: dict[str, str] = {}",
        "of two compactions at once one loses what the other found",
    ),
    Mutant(
        "marked for compaction before anything is written",
        "analytics/batches.py",
        "        self._objects.put(raw_key(site.id, hour, batch), ordered)\n"
        "        # Segments only of what is in an object: compaction drops them for it. Marks only "
        "then:\n"
        "        # whoever takes one away finds both.\n"
        "        segments, until = by_minute(ordered), gone_at(hour, site.phase, now)\n"
        "        for minute, segment in segments.items():\n"
        "            self._hours.put(site.id, hour, (minute, batch), segment, until, now)\n"
        "        self._marks.put(site.id, hour)\n",
        "        self._marks.put(site.id, hour)\n"
        "        self._objects.put(raw_key(site.id, hour, batch), ordered)\n"
        "        segments, until = by_minute(ordered), gone_at(hour, site.phase, now)\n"
        "        for minute, segment in segments.items():\n"
        "            self._hours.put(site.id, hour, (minute, batch), segment, until, now)\n",
        "who takes the mark away finds nothing, and nobody looks again",
    ),
    Mutant(
        "batches count beside what they were merged into",
        "analytics/hours.py",
        "            return lane not in self.merged\n",
        "            return True\n",
        "a compacted hour counts twice",
    ),
    Mutant(
        "some parts taken for all",
        "analytics/hours.py",
        "        return sum(lane >> PART_BITS == self.revision for lane in lanes) >= self.parts\n",
        "        return True\n",
        "an hour is rolled up while it is being compacted",
    ),
    Mutant(
        "hour not rolled up after compaction",
        "analytics/compaction.py",
        "        self._hours.mark(Dirty(site, hour), MIN_DELAY, self._now())\n",
        "",
        "what was counted twice stays so",
    ),
    Mutant(
        "rare values wait for ever",
        "analytics/rolling.py",
        "                self._hours.mark(dirty._replace(whole=True), wait, now)\n",
        "                pass\n",
        "what is rare in a dense hour is never written",
    ),
    Mutant(
        "pieces of what was seen before",
        "analytics/hours.py",
        '    return f"{_place(bucket)}#{seen}#{number}"\n',
        '    return f"{_place(bucket)}#0#{number}"\n',
        "a large segment is put together of two",
    ),
    Mutant(
        "remembered before it is written",
        "analytics/rolling.py",
        "        changed += self._rows.count(defined, dirty.hour, read.version, news, late)\n",
        "        self._rolled.remember(dirty, read.version, tallies)\n"
        "        changed += self._rows.count(defined, dirty.hour, read.version, news, late)\n",
        "what could not be written is taken to stand there",
    ),
)
