"""`python -m tests.simulation`: many seeds, one seed again, or the mutants."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

# The simulated functions find no account, whoever runs this.
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.chaos import Plan
from tests.simulation.coverage import Coverage
from tests.simulation.expected import ENOUGH_SEEDS
from tests.simulation.report import shrink, story
from tests.simulation.run import simulate
from tests.simulation.worlds import MUTANTS, WORLDS, killed

CHUNK = 10
"""Seeds that a worker takes at a time."""


WIDTH = 150
"""Columns where there is no terminal to ask: the tables are wide."""
TOLD_EVERY = 100
"""Seeds after which a log, which shows no bar, is told how far it is."""


def main() -> int:
    """Returns the exit status: 1 for a violation, a survivor or a cell never reached."""
    options = _options()
    if options.mutants:
        return _mutants(options)
    if options.seed is not None:
        return _one(options)
    if options.until_violation:
        return _until_violation(options)
    worlds = [options.world] if options.world else WORLDS
    # Each, whatever became of the one before.
    return max([_many(options, world) for world in worlds])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--from", dest="start", type=int, default=0, help="the first")
    parser.add_argument("--seed", type=int, help="this one alone, with its history")
    parser.add_argument("--actors", type=_names, help="with --seed: only these, comma-separated")
    parser.add_argument("--faults", type=_names, help="with --seed: only these, comma-separated")
    parser.add_argument("--sdk", action="store_true", help="with --seed: botocore whole")
    parser.add_argument("--mutants", action="store_true", help="kill the mutants")
    parser.add_argument("--only", help="with --mutants: those whose name contains this")
    parser.add_argument("--world", choices=WORLDS, help="one world alone; the first, with --seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--until-violation", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _plan(options: argparse.Namespace, seed: int) -> Plan:
    world = options.world or next(iter(WORLDS))
    return Plan(seed, options.actors, options.faults, options.sdk, world)


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))


def _one(options: argparse.Namespace) -> int:
    console = Console(soft_wrap=True)
    result = simulate(_plan(options, options.seed))
    if result.violation is None:
        console.print("\n".join(result.history.lines()), markup=False, highlight=False)
        console.print(f"seed {options.seed} is clean, {result.steps} turns")
        return 0
    if options.actors is None and options.faults is None:
        result = shrink(result)
    console.print(story(result), markup=False, highlight=False)
    return 1


def _until_violation(options: argparse.Namespace) -> int:
    """For the mutants: the last line tells the first violation, or that there was none."""
    for seed in range(options.start, options.start + options.seeds):
        try:
            violation = simulate(_plan(options, seed)).violation
            invariant = violation.invariant if violation else None
        except Exception as error:
            # A mutant that makes even the simulation fail is found out as well.
            invariant = f"raised {type(error).__name__}"
        if invariant is not None:
            print(json.dumps({"seed": seed, "invariant": invariant}))
            return 1
    print(json.dumps({"seed": None, "invariant": None}))
    return 0


def _batch(world: str, seeds: list[int]) -> tuple[int, Coverage, list[int]]:
    """A worker's share: turns, coverage, and the seeds that failed."""
    coverage, failed, turns = Coverage(), [], 0
    for seed in seeds:
        result = simulate(Plan(seed, world=world))
        coverage.add(result.coverage)
        turns += result.steps
        if result.violation is not None:
            failed.append(seed)
    return turns, coverage, failed


def run(
    world: str, start: int, seeds: int, jobs: int
) -> Iterator[tuple[int, int, Coverage, list[int]]]:
    """Runs seeds of a world on all processors: after each batch its number of seeds, turns,
    coverage and failures."""
    every = list(range(start, start + seeds))
    batches = [every[place : place + CHUNK] for place in range(0, seeds, CHUNK)]
    if jobs == 1:
        for batch in batches:
            yield len(batch), *_batch(world, batch)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for batch, outcome in zip(batches, pool.map(partial(_batch, world), batches), strict=True):
            yield len(batch), *outcome


def _many(options: argparse.Namespace, world: str) -> int:
    console, coverage, failed, turns = _console(), Coverage(), [], 0
    started = time.monotonic()
    with _progress(console) as progress:
        bar = progress.add_task("seeds", total=options.seeds)
        share = run(world, options.start, options.seeds, options.jobs)
        for seeds, taken, reached, violated in share:
            turns += taken
            coverage.add(reached)
            failed += violated
            progress.advance(bar, seeds)
            done = int(progress.tasks[0].completed)
            if not console.is_terminal and done % TOLD_EVERY == 0:
                console.print(f"{done} seeds after {time.monotonic() - started:.0f} s")
            if failed:
                break
    if failed:
        console.print(f"seed {failed[0]} is not clean; what can be left out of it?")
        shown = story(shrink(simulate(Plan(failed[0], world=world))))
        console.print(shown, markup=False, highlight=False, soft_wrap=True)
        return 1
    cells, exempt = WORLDS[world].expected(), WORLDS[world].exempt
    for table in coverage.tables(cells):
        console.print(table)
    for cell, reason in exempt.items():
        console.print(f"exempt: {' '.join(cell)}: {reason}")
    seconds = time.monotonic() - started
    console.print(
        f"{world}: {options.seeds} seeds clean in {seconds:.1f} s: "
        f"{options.seeds / seconds:.1f} seeds/s, {turns / seconds:.0f} turns/s "
        f"on {options.jobs} processors"
    )
    missing = coverage.missing(cells)
    if missing and options.seeds >= ENOUGH_SEEDS:
        for cell in missing:
            console.print(f"never reached: {' '.join(cell)}")
        return 1
    return 0


def _mutants(options: argparse.Namespace) -> int:
    console = _console()
    wanted = [each for each in MUTANTS if (options.only or "") in each.name]
    if options.world:
        wanted = [each for each in wanted if each.world == options.world]
    survivors = []
    with _progress(console) as progress:
        bar = progress.add_task("mutants", total=len(wanted))
        for mutant, seed, invariant in killed(wanted, options.seeds, options.jobs):
            progress.advance(bar)
            if seed is None:
                survivors.append(mutant)
            fate = f"killed by seed {seed}: {invariant}" if invariant else "[bold red]survived[/]"
            console.print(f"{mutant.name}: {fate}", highlight=False)
    console.print(f"{len(wanted) - len(survivors)} of {len(wanted)} mutants killed")
    for survivor in survivors:
        console.print(f"[bold red]survived[/] {survivor.name}: {survivor.why}")
    return 1 if survivors else 0


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


if __name__ == "__main__":
    sys.exit(main())
