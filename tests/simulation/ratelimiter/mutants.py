"""Broken variants of the rate limiter; see tests/simulation/mutants.py."""

from __future__ import annotations

from functools import partial

from tests.simulation.mutants import Mutant as AnyMutant

Mutant = partial(AnyMutant, world="ratelimiter")

MUTANTS: tuple[AnyMutant, ...] = ()
