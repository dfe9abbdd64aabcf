from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.edge.runtime import Handler, Runtime, entry
from tests.unit.edge.conftest import World


def test_a_handler_is_built_on_its_first_invocation_and_once() -> None:
    built: list[Runtime] = []

    def build(runtime: Runtime) -> Handler:
        built.append(runtime)
        return lambda event, context: (event, context)

    handler: Any = entry(build)
    assert built == []
    assert [handler({"n": n}, n) for n in range(2)] == [({"n": 0}, 0), ({"n": 1}, 1)]
    assert len(built) == 1


@given(st.binary(min_size=4, max_size=4))
def test_a_backoffs_chance_comes_from_the_runtimes_entropy_below_one(drawn: bytes) -> None:
    runtime = World().runtime._replace(entropy=lambda size: drawn[:size])
    chance = runtime.backoff().jitter()
    assert 0 <= chance < 1
    assert chance * 2**32 == int.from_bytes(drawn, "big")
