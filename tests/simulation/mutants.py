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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.handlers import ROOT


@dataclass(frozen=True)
class Mutant:
    """One text replaced by another in one file under functions/, and what that breaks."""

    name: str
    file: str
    old: str
    new: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the seed and the invariant that killed it, None if none did."""

    mutant: Mutant
    seed: int | None
    invariant: str | None


def killed(mutants: Iterable[Mutant], seeds: int, jobs: int = 2) -> Iterator[Verdict]:
    """Runs each mutant until a seed kills it, `jobs` at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda mutant: judge(mutant, seeds), mutants)


def judge(mutant: Mutant, seeds: int) -> Verdict:
    """Runs one mutant for at most so many seeds."""
    with tempfile.TemporaryDirectory() as folder:
        _mutate(mutant, Path(folder))
        command = [sys.executable, "-m", "tests.simulation", "--until-violation"]
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            [*command, "--seeds", str(seeds)],
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
    path = folder / "functions" / mutant.file
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
        "                if message.delivery < SET_ASIDE_AT:\n                    raise",
        "                if message.delivery < SET_ASIDE_AT:\n                    return",
        "a message whose stream failed again is deleted",
    ),
    Mutant(
        "quarantine that keeps nothing",
        "edge/doorbells.py",
        "                self.quarantine.add(stream, view, kind, self.runtime.now())\n",
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
        "for stream in sorted(late):",
        "for stream in sorted(late)[:0]:",
        "a lost record is never made good",
    ),
    Mutant(
        "sweep ignores missing rows",
        "kernel/projector.py",
        "late.update(s for s in streams if versions.get(s, 0) < heads[s])",
        "late.update(s for s in versions if versions[s] < heads[s])",
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
        "kernel/projector.py",
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
        "            if (done := self._repeat(current, context)) is not None:\n"
        "                return done\n"
        "            if expected is not None and current.version not in expected:\n"
        "                raise VersionMismatch(current.version)\n",
        "            if expected is not None and current.version not in expected:\n"
        "                raise VersionMismatch(current.version)\n"
        "            if (done := self._repeat(current, context)) is not None:\n"
        "                return done\n",
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
        "            or not self.decider.visible(current.state, context.actor)\n",
        "",
        "anybody edits anybody's link",
    ),
    Mutant(
        "tenant not checked",
        "kernel/commands.py",
        "            or current.tenant != context.tenant\n",
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
        "            current = self._visible(stream, context)\n",
        "            current = self._visible(stream, context) if not attempt else current\n",
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
        "tenant=context.tenant if context.tenant != DEFAULT_TENANT else None,",
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
        "shortener/decider.py",
        "return not (self.deleted or self.disabled or expired)",
        "return not (self.deleted or self.disabled)",
        "an expired link goes on redirecting",
    ),
    Mutant(
        "redirect ignores disabling",
        "shortener/decider.py",
        "return not (self.deleted or self.disabled or expired)",
        "return not (self.deleted or expired)",
        "a link that is switched off goes on redirecting",
    ),
    Mutant(
        "redirect of deleted links",
        "shortener/decider.py",
        "return not (self.deleted or self.disabled or expired)",
        "return not (self.disabled or expired)",
        "a deleted link goes on redirecting",
    ),
    Mutant(
        "deletion forgotten by the fold",
        "shortener/decider.py",
        "return replace(link, deleted=True)",
        "return link",
        "a deleted link is there",
    ),
    Mutant(
        "edits of deleted links",
        "shortener/decider.py",
        "    if link is None or link.deleted:\n        raise Gone\n",
        "    if link is None:\n        raise Gone\n",
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
        "kernel/views.py",
        'next=shown[-1]["position"]["S"] if more and shown else None,',
        'next=items[-1]["position"]["S"] if more and shown else None,',
        "the row after each page is in none",
    ),
    Mutant(
        "history starts again on each page",
        "shortener/schemas.py",
        'if item["version"] > seen]',
        'if item["version"] >= seen]',
        "pages of a history overlap",
    ),
    Mutant(
        "unavailable is a 500",
        "edge/http.py",
        "    except BotoCoreError as error:\n        raise unavailable() from error\n",
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
        "if standing.retired is None or now - standing.since < RETIRED_MS:",
        "if standing.retired is None:",
        "readers that hold the old pointer read nothing",
    ),
    Mutant(
        "drop takes the live generation",
        "kernel/replay.py",
        'table.drop(f"{name}@{standing.retired}#", has_time)',
        'table.drop(f"{name}@{standing.live}#", has_time)',
        "the rows that are read are deleted",
    ),
)

QUICK = (
    "append without its condition",
    "ring off",
    "v < :v inverted",
    "snapshot of the state before",
    "redirect ignores disabling",
)
"""Those that die within a few seeds; run with every test run."""
