"""The simulation, a short share of it: seeds, sameness, mutants. `-m slow` runs the long one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.__main__ import run
from tests.simulation.chaos import Plan
from tests.simulation.coverage import Coverage
from tests.simulation.mutants import QUICK, Mutant, judge
from tests.simulation.report import command, shrink, story
from tests.simulation.run import simulate
from tests.simulation.worlds import MUTANTS, WORLDS
from tests.support.handlers import ROOT

SHORT, LONG, BATCH = 15, 2000, 5
QUICKLY, SLOWLY = 40, 400
"""Seeds within which a mutant must die."""


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("first", range(0, SHORT, BATCH))
def test_a_short_share_of_seeds_is_clean(first: int, world: str) -> None:
    for seed in range(first, first + BATCH):
        result = simulate(Plan(seed, world=world))
        assert result.violation is None, story(shrink(result))


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.parametrize("world", WORLDS)
def test_many_seeds_are_clean_and_reach_every_cell(world: str) -> None:
    coverage = Coverage()
    for _, _, reached, failed in run(world, 0, LONG, os.cpu_count() or 1):
        assert not failed, command(Plan(failed[0], world=world))
        coverage.add(reached)
    assert coverage.missing(WORLDS[world].expected()) == []


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", range(2))
def test_one_seed_is_one_history(seed: int, world: str) -> None:
    plan = Plan(seed, world=world)
    assert simulate(plan).history.lines() == simulate(plan).history.lines()


def test_one_seed_is_one_history_in_every_process() -> None:
    program = (
        "import tests.conftest\n"
        "from tests.simulation.chaos import Plan\n"
        "from tests.simulation.run import simulate\n"
        "from tests.simulation.worlds import WORLDS\n"
        "plans = [Plan(2, world=world) for world in WORLDS]\n"
        "print(*(simulate(plan).history.digest() for plan in plans))\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    "seed", [1, 3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, 2, 4, 5))]
)
def test_the_short_cut_around_botocore_changes_nothing(seed: int) -> None:
    whole, short = simulate(Plan(seed, sdk=True)), simulate(Plan(seed))
    assert whole.history.lines() == short.history.lines()


def test_a_run_without_some_faults_and_actors_is_the_same_run_otherwise() -> None:
    whole = simulate(Plan(3))
    same = simulate(Plan(3, actors=whole.actors, faults=frozenset(whole.struck)))
    assert same.history.digest() == whole.history.digest()


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.name in QUICK], ids=lambda m: m.name)
def test_the_weakest_mutants_die_at_once(mutant: Mutant) -> None:
    assert judge(mutant, QUICKLY).seed is not None


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_dies(mutant: Mutant) -> None:
    assert judge(mutant, SLOWLY).seed is not None, mutant.why


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_fits_the_code(mutant: Mutant) -> None:
    assert (ROOT / mutant.path).read_text().count(mutant.old) == 1
