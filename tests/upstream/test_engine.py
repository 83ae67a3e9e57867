"""The sweep that ends ejections on time, whether there are requests or not."""

import asyncio
import random
from collections.abc import Callable

import pytest

from llm_fallback.config.routes import VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot
from llm_fallback.events import Event, Returned
from llm_fallback.outlier import Outcome
from llm_fallback.upstream.engine import Engine
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, target

A = target("a.com", "10.0.0.1", "10.0.0.2", outlier=EJECTS)
SNAPSHOT = Snapshot({"a.com": Service("a.com", {(80, None): A})}, {"a.com": VirtualHost("vs", ())})


def returns(*failures: tuple[float, int], pace: float = 1.0, sweeps: int = 1) -> list[float]:
    """When who failed is back: the moment and number of each endpoint; each time there are so many sweeps."""

    async def main(loop_clock: Callable[[], float]) -> list[float]:
        def clock() -> float:
            return loop_clock() * pace

        def on_event(event: Event) -> None:
            assert isinstance(event, Returned)
            back.append(round(clock(), 3))

        back: list[float] = []
        engine = Engine(clock=clock, wall_clock=clock, rng=random.Random(0), on_event=on_event)
        engine.adopt(SNAPSHOT)
        for moment, number in failures:
            await asyncio.sleep(moment - loop_clock())
            engine.health.record(A, A.endpoints[number], Outcome(500), total=2, now=clock())
            for _ in range(sweeps):
                engine.sweep()
        await asyncio.sleep(60.0)
        engine.close()
        return back

    return run(main)


@pytest.mark.parametrize(
    ("failures", "back"),
    [
        pytest.param([(0.0, 0)], [10.0], id="one"),
        pytest.param([(0.0, 0), (2.5, 1)], [10.0, 13.0], id="two"),
        pytest.param([(0.0, 0), (29.5, 0)], [10.0, 40.0], id="again"),
    ],
)
@pytest.mark.parametrize("sweeps", [1, 3])
def test_ejections_end_by_themselves(
    failures: list[tuple[float, int]], back: list[float], sweeps: int
) -> None:
    """However often it has been swept in between."""
    assert returns(*failures, sweeps=sweeps) == back


def test_a_loop_that_is_early() -> None:
    """It is told again when the moment is: the loop's clock and the engine's need not be one."""
    assert returns((0.0, 0), pace=0.9) == [pytest.approx(10.0, abs=0.01)]


def test_sweeping_again_sets_no_further_timer() -> None:
    """Every request sweeps; while somebody is ejected, each would leave a timer behind."""

    async def main(clock: Callable[[], float]) -> int:
        engine = Engine(clock=clock, wall_clock=clock, rng=random.Random(0), on_event=lambda _: None)
        engine.adopt(SNAPSHOT)
        engine.health.record(A, A.endpoints[0], Outcome(500), total=2, now=clock())
        timers = set[asyncio.TimerHandle | None]()
        for _ in range(100):
            engine.sweep()
            timers.add(engine._sweep)
        engine.close()
        return len(timers)

    assert run(main) == 1
