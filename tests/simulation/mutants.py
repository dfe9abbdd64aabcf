"""Broken variants of the production code. Each must be killed: some seed must find it out.

A mutant is one replaced text in a copy of functions/, first on the path of a process of its own;
the working tree is never touched. `old` must occur exactly once in its file, so that a mutant that
no longer fits the code fails the tests instead of surviving unnoticed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.support.handlers import ROOT


@dataclass(frozen=True)
class Mutant:
    """One text replaced by another in one file, and what that breaks, in which world. The file is
    under functions/, or under tests/ if its name begins so: the tally's rules are the simulation's
    own."""

    name: str
    file: str
    old: str
    new: str
    why: str
    world: str = "shortener"

    @property
    def path(self) -> str:
        """The file's name from the root."""
        return self.file if self.file.startswith("tests/") else f"functions/{self.file}"


class Verdict(NamedTuple):
    """What became of a mutant: the seed and the invariant that killed it, None if none did."""

    mutant: Mutant
    seed: int | None
    invariant: str | None


def killed(mutants: Iterable[Mutant], seeds: int, jobs: int = 2) -> Iterator[Verdict]:
    """Runs each mutant until a seed kills it, `jobs` at a time; gives those first that are done."""
    with ThreadPoolExecutor(jobs) as pool:
        judged = [pool.submit(judge, mutant, seeds) for mutant in mutants]
        for each in as_completed(judged):
            yield each.result()


def judge(mutant: Mutant, seeds: int) -> Verdict:
    """Runs one mutant for at most so many seeds."""
    with tempfile.TemporaryDirectory() as folder:
        _mutate(mutant, Path(folder))
        command = [sys.executable, "-m", "tests.simulation", "--until-violation"]
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            [*command, "--seeds", str(seeds), "--world", mutant.world],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{mutant.name} did not run: {done.stderr[-2000:]}")
    verdict = json.loads(done.stdout.splitlines()[-1])
    return Verdict(mutant, verdict["seed"], verdict["invariant"])


def _mutate(mutant: Mutant, folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "functions", folder / "functions", ignore=ignored)
    if mutant.path.startswith("tests/"):
        shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
        for name in ("template.yaml", "infra"):
            (folder / name).symlink_to(ROOT / name)
    path = folder / mutant.path
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text is {text.count(mutant.old)} times in the file")
    path.write_text(text.replace(mutant.old, mutant.new))


MUTANTS = (
    Mutant(
        "append without its condition",
        "kernel/dynamo.py",
        '                    ConditionExpression="attribute_not_exists(pk)",\n',
        "",
        "the last of two writers at one place overwrites the first",
    ),
    Mutant(
        "own commit unknown and ring off",
        "kernel/dynamo.py",
        "return None if standing.id == commit.id else standing",
        "return standing",
        "a lost answer makes a command lose against itself; see the ring mutants for the rest",
    ),
    Mutant(
        "ring off",
        "kernel/ring.py",
        "        if command == signature.id:",
        "        if False:",
        "a repeated command is carried out again",
    ),
    Mutant(
        "ring of one",
        "kernel/ring.py",
        "SHORT = 8",
        "SHORT = 1",
        "a repeat is forgotten after the next command",
    ),
    Mutant(
        "ring drops the newest",
        "kernel/ring.py",
        "return grown[-entries * _ENTRY.size :]",
        "return grown[: entries * _ENTRY.size]",
        "once full, the ring remembers no new command",
    ),
    Mutant(
        "reuse of a key not refused",
        "kernel/ring.py",
        "            if payload != signature.payload:\n                raise CommandReused\n",
        "",
        "a key with another payload is answered as if it were the first",
    ),
    Mutant(
        "rows by whoever comes last",
        "kernel/views.py",
        '                ConditionExpression="attribute_not_exists(pk) OR v < :v",\n'
        '                ExpressionAttributeValues={":v": {"N": str(version)}},\n',
        "",
        "a late record takes a row back",
    ),
    Mutant(
        "v < :v inverted",
        "kernel/views.py",
        "attribute_not_exists(pk) OR v < :v",
        "attribute_not_exists(pk) OR v > :v",
        "rows only ever go back",
    ),
    Mutant(
        "rows written once",
        "kernel/views.py",
        "attribute_not_exists(pk) OR v < :v",
        "attribute_not_exists(pk) OR v = :v",
        "a row never changes",
    ),
    Mutant(
        "deleted links stay listed",
        "shortener/views.py",
        "if link is None or link.deleted:",
        "if link is None:",
        "the list shows what is gone",
    ),
    Mutant(
        "lists without their tenant",
        "shortener/views.py",
        "return to_json([tenant, owner])",
        "return to_json([owner])",
        "one user's links of two tenants are one list",
    ),
    Mutant(
        "projector forgets what failed",
        "edge/doorbells.py",
        "            self.failed.append(stream)",
        "            pass",
        "a stream whose row could not be written is in no queue",
    ),
    Mutant(
        "failed send swallowed",
        "edge/queue.py",
        "            raise SendFailed(url)",
        "            pass",
        "what the queue did not take is lost",
    ),
    Mutant(
        "retries acknowledged before they are done",
        "edge/doorbells.py",
        "            if message.delivery < SET_ASIDE_AT:\n                raise error",
        "            if message.delivery < SET_ASIDE_AT:\n                return",
        "a message whose stream failed again is deleted",
    ),
    Mutant(
        "quarantine that keeps nothing",
        "edge/doorbells.py",
        "            self.quarantine.add(stream, view, kind, self.runtime.now())\n",
        "",
        "a stream that is set aside is nowhere",
    ),
    Mutant(
        "quarantine since the newest failure",
        "kernel/quarantine.py",
        "#position = if_not_exists(#position, :position)",
        "#position = :position",
        "nobody sees how long a stream has been aside",
    ),
    Mutant(
        "quarantine counts once",
        "kernel/quarantine.py",
        'd = :d "\n                "ADD failures :one"',
        'd = :d, failures = :one"',
        "nobody sees how often a stream was given up",
    ),
    Mutant(
        "sweep rings nothing",
        "kernel/sweep.py",
        "for stream in sorted(behind):",
        "for stream in sorted(behind)[:0]:",
        "a lost record is never made good",
    ),
    Mutant(
        "sweep ignores missing rows",
        "kernel/readers.py",
        "found.update(s for s in streams if versions.get(s, 0) < heads[s])",
        "found.update(s for s in versions if versions[s] < heads[s])",
        "a stream whose first record was lost never gets a row",
    ),
    Mutant(
        "sweep sees half the pages",
        "kernel/dynamo.py",
        'return heads, answer.get("LastEvaluatedKey")',
        "return heads, None",
        "what lies beyond the scan's first page is never looked at",
    ),
    Mutant(
        "projector trusts every record",
        "kernel/projector.py",
        "        if not commit.stateful:\n"
        "            self.ring(commit.stream)\n"
        "            return\n",
        "",
        "a commit without a snapshot is taken for the whole state",
    ),
    Mutant(
        "newest_of_each takes the oldest",
        "kernel/readers.py",
        "newest[commit.stream].after < commit.after",
        "newest[commit.stream].after > commit.after",
        "of a batch, the row shows the oldest commit",
    ),
    Mutant(
        "If-Match not compared",
        "kernel/commands.py",
        "if expected is not None and current.version not in expected:",
        "if False:",
        "an edit goes over a change that its author never saw",
    ),
    Mutant(
        "If-Match before the ring",
        "kernel/commands.py",
        "            current = self._load(stream, context)\n",
        "            current = self._load(stream, context)\n"
        "            if expected is not None and current.version not in expected:\n"
        "                raise VersionMismatch(current.version)\n",
        "a repeat is told that its own version is wrong",
    ),
    Mutant(
        "If-Match on the first try alone",
        "kernel/commands.py",
        "if expected is not None and current.version not in expected:",
        "if not attempt and expected is not None and current.version not in expected:",
        "whoever loses a race edits a version that he never saw",
    ),
    Mutant(
        "owner not checked",
        "kernel/commands.py",
        "if context.tenant and not self.decider.visible(current.state, context.actor):",
        "if False:",
        "anybody edits anybody's link",
    ),
    Mutant(
        "tenant not checked",
        "kernel/commands.py",
        " or context.tenant not in (None, current.tenant)",
        "",
        "the same user edits links across tenants",
    ),
    Mutant(
        "tenant not checked by reads",
        "shortener/handlers/read.py",
        "link is None or stream.tenant != caller.tenant or link.owner != caller.user",
        "link is None or link.owner != caller.user",
        "the same user reads links across tenants",
    ),
    Mutant(
        "retries decide on what was first read",
        "kernel/commands.py",
        "            current = self._load(stream, context)\n",
        "            current = self._load(stream, context) if not attempt else current\n",
        "a conflict can never be resolved",
    ),
    Mutant(
        "a conflict taken for a success",
        "kernel/commands.py",
        "            if standing is None:\n                return outcome\n        raise Conflict",
        "            return outcome\n        raise Conflict",
        "an edit that lost is acknowledged",
    ),
    Mutant(
        "recorded time from the clock alone",
        "kernel/commands.py",
        "at=max(context.now, current.at),",
        "at=context.now,",
        "a slow clock records a time before the one before",
    ),
    Mutant(
        "tenant not recorded",
        "kernel/commands.py",
        "tenant=tenant if tenant != DEFAULT_TENANT else None,",
        "tenant=None,",
        "every link is the default tenant's",
    ),
    Mutant(
        "snapshot of the state before",
        "kernel/commands.py",
        "snapshot=snapshot(decider, state) if due else None,",
        "snapshot=snapshot(decider, current.state) if due else None,",
        "readers see the link as it was before its newest change",
    ),
    Mutant(
        "snapshot one commit late",
        "kernel/commands.py",
        "current.tail + 1 >= decider.snapshot_every",
        "current.tail >= decider.snapshot_every",
        "loads go beyond the one page that they are to cost",
    ),
    Mutant(
        "version ignored where a snapshot is",
        "kernel/store.py",
        "return commit.snapshot is not None and (version is None or commit.after <= version)",
        "return commit.snapshot is not None",
        "the past shows what came later",
    ),
    Mutant(
        "snapshot counted twice",
        "kernel/store.py",
        "state, reached, pending = restore(decider, base.snapshot), base.after, commits[1:]",
        "state, reached, pending = restore(decider, base.snapshot), base.after, commits",
        "the events of a snapshot's own commit are folded again",
    ),
    Mutant(
        "loads not consistent",
        "kernel/dynamo.py",
        "                ConsistentRead=consistent,\n",
        "                ConsistentRead=False,\n",
        "a command decides on what was",
    ),
    Mutant(
        "loads end with the first page",
        "kernel/dynamo.py",
        '            if "LastEvaluatedKey" not in answer:\n'
        "                return\n"
        "            page",
        "            return\n            page",
        "a page that ends early is taken for the whole stream",
    ),
    Mutant(
        "history not consistent",
        "kernel/dynamo.py",
        "            ConsistentRead=True,\n            Limit=limit + 1,",
        "            ConsistentRead=False,\n            Limit=limit + 1,",
        "a history lacks what was acknowledged",
    ),
    Mutant(
        "transaction conflicts taken for written",
        "kernel/dynamo.py",
        '                if code == "TransactionConflictException":\n'
        "                    continue\n",
        '                if code == "TransactionConflictException":\n'
        "                    return None\n",
        "what a transaction kept out is acknowledged",
    ),
    Mutant(
        "a repeat gets what is now",
        "kernel/commands.py",
        "then = load(self.store, self.decider, current.id, version=version)",
        "then = current",
        "a repeat is answered with a later state",
    ),
    Mutant(
        "first answer not repeated",
        "kernel/commands.py",
        "        if (done := self._first_answer(standing, context)) is None:\n",
        "        if True:\n",
        "a creation repeated with its key is told that the name is taken, or makes another",
    ),
    Mutant(
        "dedupe does not compare URLs",
        "shortener/issuing.py",
        "if not (same and fits and link.live(context.now)):",
        "if not (fits and link.live(context.now)):",
        "a link that was pointed elsewhere is the answer",
    ),
    Mutant(
        "dedupe answers with dead links",
        "shortener/issuing.py",
        "if not (same and fits and link.live(context.now)):",
        "if not (same and fits):",
        "a link that is gone, off or expired is the answer",
    ),
    Mutant(
        "dedupe ignores what was asked for",
        "shortener/issuing.py",
        "if not (same and fits and link.live(context.now)):",
        "if not (same and link.live(context.now)):",
        "a link with another expiry or status is the answer",
    ),
    Mutant(
        "aliases deduped",
        "shortener/issuing.py",
        "            return self._create(wish.alias, wish, context, 0)\n",
        "            try:\n"
        "                return self._create(wish.alias, wish, context, 0)\n"
        "            except AlreadyExists:\n"
        "                if found := self._existing(wish.alias, wish, context, 0):\n"
        "                    return found\n"
        "                raise\n",
        "a taken alias is given to who has it already",
    ),
    Mutant(
        "codes from an unstable secret",
        "edge/secrets.py",
        'return hmac.digest(extracted, purpose.encode() + b"\\x01", hashlib.sha256)',
        "return self._runtime.entropy(32)",
        "equal URLs get different codes, and cursors of other containers are refused",
    ),
    Mutant(
        "redirect ignores expiry",
        "shortener/policy.py",
        'return "over" if link.over(now) else "open"',
        'return "open"',
        "an expired link goes on redirecting",
    ),
    Mutant(
        "redirect ignores disabling",
        "shortener/policy.py",
        "if link.deleted or link.disabled:",
        "if link.deleted:",
        "a link that is switched off goes on redirecting",
    ),
    Mutant(
        "redirect of deleted links",
        "shortener/policy.py",
        "if link.deleted or link.disabled:",
        "if link.disabled:",
        "a deleted link goes on redirecting",
    ),
    Mutant(
        "redirect of banned links",
        "shortener/policy.py",
        'if link.standing == BANNED:\n        return "banned"\n',
        'if False:\n        return "banned"\n',
        "a ban harms nobody",
    ),
    Mutant(
        "warning tells what a password hides",
        "shortener/policy.py",
        'return _window(link, now) == "open" and link.password is None',
        'return _window(link, now) == "open"',
        "a report opens a link with a password to everybody",
    ),
    Mutant(
        "redirect before its time",
        "shortener/policy.py",
        "if link.not_before is not None and now < link.not_before:",
        "if False:",
        "a link leads before its window",
    ),
    Mutant(
        "deletion forgotten by the fold",
        "shortener/decider.py",
        "return replace(link, deleted=True, deleted_at=deleted_at)",
        "return link",
        "a deleted link is there",
    ),
    Mutant(
        "edits of deleted links",
        "shortener/decider.py",
        "    if link.deleted:\n        raise Gone\n",
        "",
        "a deleted link is edited, deleted again",
    ),
    Mutant(
        "null clears nothing",
        "shortener/schemas.py",
        "return {n: CLEARED[n] if value is None else value for n, value in given.items()}",
        "return {n: value for n, value in given.items() if value is not None}",
        "what was to be cleared stays",
    ),
    Mutant(
        "list skips a row between pages",
        "shortener/listing.py",
        "return Found(found, position(link) if more else None)",
        "return Found(found[:-1] if more else found, position(link) if more else None)",
        "the last row of each page is in none",
    ),
    Mutant(
        "history starts again on each page",
        "edge/history.py",
        'if item["version"] > seen\n',
        'if item["version"] >= seen\n',
        "pages of a history overlap",
    ),
    Mutant(
        "unavailable is a 500",
        "edge/http.py",
        "        case BotoCoreError():\n            problem = unavailable()\n",
        "",
        "an answer that never came is an internal error",
    ),
    Mutant(
        "throttling is a 500",
        "edge/http.py",
        '        "ProvisionedThroughputExceededException",\n',
        "",
        "a throttled table is an internal error",
    ),
    Mutant(
        "replay flips unverified",
        "kernel/replay.py",
        "        if late := fresh.behind(heads, consistent=True):\n"
        "            raise NotVerified(late)\n",
        "",
        "a generation is read that lacks streams",
    ),
    Mutant(
        "live doorbells miss the new generation",
        "kernel/generations.py",
        "for generation in (standing.live, standing.building)",
        "for generation in (standing.live, None)",
        "what changes during a replay is lost by the flip",
    ),
    Mutant(
        "retired generations dropped at once",
        "kernel/replay.py",
        "if standing.retired is not None and now - standing.since >= RETIRED_MS",
        "if standing.retired is not None",
        "readers that hold the old pointer read nothing",
    ),
    Mutant(
        "drop takes the live generation",
        "kernel/replay.py",
        'prefix = f"{view}@{standing.retired}#"',
        'prefix = f"{view}@{standing.live}#"',
        "the rows that are read are deleted",
    ),
    Mutant(
        "cap looked at, then counted",
        "shortener/quotas.py",
        "            self._client.update_item(\n"
        "                TableName=self._table,\n"
        '                Key={"pk": {"S": key}},\n'
        "                UpdateExpression=expression,\n"
        "                ConditionExpression=CONDITION,\n",
        "            if not self.left(key, most):\n"
        "                return False\n"
        "            self._client.update_item(\n"
        "                TableName=self._table,\n"
        '                Key={"pk": {"S": key}},\n'
        "                UpdateExpression=expression,\n"
        '                ConditionExpression=CONDITION + " OR used >= :most",\n',
        "of two visitors at the last click both are led on",
    ),
    Mutant(
        "cap passed by one",
        "shortener/quotas.py",
        "used < :most",
        "used <= :most",
        "one more than asked for is led on",
    ),
    Mutant(
        "caps used up by machines",
        "shortener/handlers/redirect.py",
        'if not guarded(found.link) or visiting.kind == "human":',
        "if True:",
        "a preview in a chat uses up a one-time link",
    ),
    Mutant(
        "window by the link's time, not the clock's",
        "shortener/handlers/redirect.py",
        "link, now = found.link, self._now()",
        "link, now = found.link, found.stream.at",
        "a remembered link leads on after its expiry",
    ),
    Mutant(
        "memory never refreshed",
        "shortener/hotlinks.py",
        "if entry is not None and now < entry.fresh_until:",
        "if entry is not None:",
        "an edit or a ban never binds where the link is hot",
    ),
    Mutant(
        "memory goes back",
        "shortener/hotlinks.py",
        "if known is not None and _older(read, known.stream):",
        "if False:",
        "an old read brings an old target back",
    ),
    Mutant(
        "memory as old as its answer",
        "shortener/hotlinks.py",
        "_Entry(read, asked, asked + FRESH_MS",
        "_Entry(read, self._now(), self._now() + FRESH_MS",
        "an edit binds late where a read took long",
    ),
    Mutant(
        "stale without end",
        "shortener/hotlinks.py",
        "spare = entry if entry is not None and now - entry.read_at < STALE_MS else None",
        "spare = entry",
        "while the store fails, links lead for ever as they were",
    ),
    Mutant(
        "lost click not logged",
        "shortener/clicks.py",
        '            log.add(lost_click={**envelope, "data": kept})\n',
        "",
        "a click that the queue did not take is nowhere",
    ),
    Mutant(
        "click told before the cap",
        "shortener/handlers/redirect.py",
        "        link = found.link\n"
        "        if link.max_clicks is not None and not self._quotas.take(_cap(found),"
        " link.max_clicks):\n"
        "            return _ended(link)\n"
        "        url = destination(link, visiting)\n"
        "        if link.counted:\n"
        '            agent = request.headers.get("user-agent", "")\n'
        '            referrer = request.headers.get("referer", "")\n'
        "            visitor = self._visitor(request, found, visiting)\n"
        "            click = message(found.stream, link, visiting, url, agent, referrer, visitor)\n"
        "            self._clicks.tell(click, request.log)\n",
        "        link = found.link\n"
        "        url = destination(link, visiting)\n"
        "        if link.counted:\n"
        '            click = message(found.stream, link, visiting, url, "", "")\n'
        "            self._clicks.tell(click, request.log)\n"
        "        if link.max_clicks is not None and not self._quotas.take(_cap(found),"
        " link.max_clicks):\n"
        "            return _ended(link)\n",
        "who was led nowhere counts as a click",
    ),
    Mutant(
        "any password opens",
        "shortener/handlers/redirect.py",
        "if not passwords.matches(given[:128], kept):",
        "if False:",
        "a wrong password leads on",
    ),
    Mutant(
        "accepted creates under a fresh id",
        "shortener/handlers/execute.py",
        "wish, context, tried = deferred",
        "wish, context, tried = deferred\n"
        "    context = replace(context, commit_id=context.commit_id[::-1])",
        "a create whose append had got through loses against itself, or makes another link",
    ),
    Mutant(
        "tried code ignored",
        "shortener/handlers/execute.py",
        "if tried is not None and wish.alias is None:",
        "if False:",
        "a fresh code that was written already is given out again",
    ),
    Mutant(
        "accepted though not sent",
        "shortener/creating.py",
        '        self._runtime.client("sqs").send_message(\n'
        "            QueueUrl=self._queue_url, MessageBody=json.dumps(packed(deferred))\n"
        "        )\n",
        "        try:\n"
        '            self._runtime.client("sqs").send_message(\n'
        "                QueueUrl=self._queue_url, MessageBody=json.dumps(packed(deferred))\n"
        "            )\n"
        "        except Exception:\n"
        "            pass\n",
        "a create is promised that nobody will carry out",
    ),
    Mutant(
        "dedupe answers with another's link",
        "shortener/issuing.py",
        " or link.owner != context.actor",
        "",
        "who gave a link away is told that it is still his",
    ),
    Mutant(
        "anybody transfers",
        "kernel/commands.py",
        "if context.tenant and not self.decider.visible(current.state, context.actor):",
        "if context.tenant and not hasattr(command, 'owner') and not self.decider.visible("
        "current.state, context.actor):",
        "whoever knows a code takes the link",
    ),
    Mutant(
        "one key for all of a bulk request",
        "shortener/handlers/bulk.py",
        'f"{key}.{index}" if key else None',
        "key",
        "links of one request are taken for repeats of one another",
    ),
    Mutant(
        "ban without a second pass",
        "shortener/enforcement.py",
        '            {"Id": "again", "MessageBody": body, "DelaySeconds": AGAIN_SECONDS},\n',
        "",
        "a link that a container made which did not know the ban yet stays until the daily pass",
    ),
    Mutant(
        "second pass at once",
        "shortener/enforcement.py",
        "AGAIN_SECONDS = 60",
        "AGAIN_SECONDS = 1",
        "as above: containers do not know the ban by then",
    ),
    Mutant(
        "a ban's first reason stays",
        "shortener/enforcement.py",
        "return link.ban == ban and (ban is None or link.reason == self._reason(ban))",
        "return link.ban == ban",
        "an owner is shown what a ban was for, not what it is for",
    ),
    Mutant(
        "a standing's first reason stays",
        "shortener/decider.py",
        "return [] if _evolved(link, event) == link else [event]",
        "return [] if _evolved(link, event).standing == link.standing else [event]",
        "as above, of a single link; and a ban's stays a ban's, whatever a moderator says",
    ),
    Mutant(
        "directory kept for long",
        "shortener/directory.py",
        "FRESH_MS = 5_000",
        "FRESH_MS = 90_000",
        "who was banned a minute ago shortens on",
    ),
    Mutant(
        "lifted bans stay",
        "shortener/enforcement.py",
        "held = None if state is None or state.lifted else state",
        "held = state",
        "a ban that was lifted is enforced again",
    ),
    Mutant(
        "quarantine lost beneath a ban",
        "shortener/decider.py",
        "[LinkCleared() if link.quarantine is None else LinkQuarantined(link.quarantine)]",
        "[LinkCleared()]",
        "the end of a ban clears what a moderator warned of",
    ),
    Mutant(
        "timers beyond a page",
        "kernel/timers.py",
        "                if position is None:\n                    break\n",
        "                break\n",
        "of many that are due at once, some wait for the others to be done",
    ),
    Mutant(
        "timers look back a minute alone",
        "kernel/timers.py",
        "since = 0 if full else now - RECENT_MS",
        "since = now - 60_000",
        "what was due while the schedule was out is never done",
    ),
    Mutant(
        "due not written",
        "kernel/views.py",
        "        if row.due is not None:\n",
        "        if False:\n",
        "no stream is ever found to be due",
    ),
    Mutant(
        "look back noted though a send failed",
        "kernel/timers.py",
        "                    send(streams)\n",
        "                    try:\n"
        "                        send(streams)\n"
        "                    except Exception:\n"
        "                        self._table.set_mark(MARK, now)\n"
        "                        raise\n",
        "what was not sent waits for another hour",
    ),
    Mutant(
        "time comes early",
        "tests/simulation/tally/decider.py",
        "while tally.due <= now and",
        "while tally.due <= now + GRACE_MS and",
        "a tally is purged as soon as it closes",
    ),
    Mutant(
        "trim goes downward",
        "kernel/purge.py",
        "for item in middle:",
        "for item in reversed(middle):",
        "a purge that is interrupted leaves a hole before commits that need what was there",
    ),
    Mutant(
        "trim takes the newest too",
        "kernel/purge.py",
        '":last": {"N": str(tombstone.before - 1)},',
        '":last": {"N": str(tombstone.before)},',
        "a stream is what its first commit says",
    ),
    Mutant(
        "trim at once",
        "kernel/purge.py",
        "if max(map(_at, middle)) > now - self._longest_run_ms:",
        "if False:",
        "who stood still writes where a commit was deleted",
    ),
    Mutant(
        "trim by the oldest commit",
        "kernel/purge.py",
        "if max(map(_at, middle))",
        "if min(map(_at, middle))",
        "as above, where the stream is older than who stands still",
    ),
    Mutant(
        "trim of whatever stands there",
        "kernel/purge.py",
        " if _at(each) <= tombstone.metadata.at]",
        "]",
        "who stood still deletes commits of the next stream of that name",
    ),
    Mutant(
        "end commit by commit",
        "kernel/purge.py",
        "        try:\n            self._client.transact_write_items(\n",
        "        self._client.delete_item(\n"
        "            TableName=self._events, Key=_key(tombstone.stream, 0)\n"
        "        )\n"
        "        try:\n            self._client.transact_write_items(\n",
        "a new stream begins under the tombstone of the old one",
    ),
    Mutant(
        "end leaves the row",
        "kernel/purge.py",
        'changes.append({"Delete": {"TableName": self._views, "Key": row}})',
        "del row",
        "the old row holds up those of a new stream of that name",
    ),
    Mutant(
        "end without its condition",
        "kernel/purge.py",
        '            "ConditionExpression": "id = :id",\n'
        '            "ExpressionAttributeValues": {":id": {"S": tombstone.id}},\n',
        "",
        "who stood still deletes the first commit of the next stream of that name",
    ),
    Mutant(
        "any newest commit taken for the tombstone",
        "kernel/purge.py",
        "return (newest, state) if decider.buried(state) else None",
        "return newest, state",
        "who comes second deletes the first commit of the next stream of that name",
    ),
    Mutant(
        "a repeat is answered from what a purge left",
        "kernel/commands.py",
        "        if then.version != version:\n",
        "        if False:\n",
        "a repeat gets a state that its command did not lead to",
    ),
    Mutant(
        "tombstone without its state",
        "kernel/commands.py",
        " or decider.buried(state)\n",
        "\n",
        "a stream whose snapshots are far apart can never be purged",
    ),
    Mutant(
        "publisher advances before it publishes",
        "kernel/publisher.py",
        """            if envelopes:
                self._publish(envelopes)
            self._table.put(PUBLISHED, newest.stream, newest.after, Row())
""",
        """            self._table.put(PUBLISHED, newest.stream, newest.after, Row())
            if envelopes:
                self._publish(envelopes)
""",
        "who dies in between leaves out what nobody looks for again",
    ),
    Mutant(
        "failed entries of a batch ignored",
        "edge/topic.py",
        "                raise PublishFailed(self._arn)",
        "                pass",
        "the rest of a batch is never told",
    ),
    Mutant(
        "gap not filled",
        "kernel/publisher.py",
        "if reached == commit.before and commit.stateful:",
        "if reached <= commit.before and commit.stateful:",
        "commits whose records were lost, or came together, are never told",
    ),
    Mutant(
        "gap folded from nothing",
        "kernel/publisher.py",
        "            if state is None and not commits[0].stateful:\n",
        "            if False:\n",
        "what follows a snapshot is told as if nothing had been before",
    ),
    Mutant(
        "a page of a gap counts for all",
        "kernel/publisher.py",
        "            reached, state = commits[-1].after, told[-1][1]\n",
        "            more = False\n",
        "a gap longer than a page stays until the next commit",
    ),
    Mutant(
        "consumer lets an older version overwrite",
        "kernel/envelope.py",
        "    return table.put(view, envelope.stream, envelope.place, view.render(told))",
        "    standing = table.row(view, envelope.stream, consistent=True) or (0, {})\n"
        "    place = max(standing[0] + 1, envelope.place)\n"
        "    return table.put(view, envelope.stream, place, view.render(told))",
        "a late envelope takes a row back",
    ),
    Mutant(
        "consumer goes by the version alone",
        "kernel/envelope.py",
        "return self.time * MAX_VERSION + self.version",
        "return self.version",
        "a stream that takes a free name is never heard of until it is as old as the former",
    ),
    Mutant(
        "sweep forgets the publisher",
        "kernel/sweep.py",
        "for reader, ring in readers:",
        "for reader, ring in readers[:1]:",
        "a lost last record is never told",
    ),
    Mutant(
        "end leaves the publisher's row",
        "tests/simulation/tally/handlers/purge.py",
        ", [TALLIES]), PUBLISHED]",
        ", [TALLIES])]",
        "a new stream of that name is not told of until it is as old as the former",
    ),
    Mutant(
        "end does not wait for the publisher",
        "tests/simulation/tally/handlers/purge.py",
        "tally.due <= now and published(rows, stream, tombstone.after)",
        "tally.due <= now",
        "a stream is gone before its end was told",
    ),
    Mutant(
        "republish moves nothing on",
        "kernel/publisher.py",
        "            self._publish([newest])\n        return True",
        "            pass\n        return True",
        "a consumer that is new learns nothing of what was told before",
    ),
)

QUICK = (
    "append without its condition",
    "ring off",
    "v < :v inverted",
    "snapshot of the state before",
    "redirect ignores disabling",
    "failed entries of a batch ignored",
)
"""Those that die within a few seeds; run with every test run."""
