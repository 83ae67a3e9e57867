"""An event loop in which nobody waits: when all are asleep, it is at once the time when the next wakes up."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

_LATE_S = 1e-6  # timers are never early, and so never due before the moment that they were set for


class _Jumping(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        assert ready or timeout is not None, "all are asleep, and nothing will ever wake them up"
        if not ready and timeout:
            self.now += timeout + _LATE_S
        return ready


def run[T](main: Callable[[Callable[[], float]], Coroutine[Any, Any, T]]) -> T:
    """Run it in such a loop; it is given the loop's clock, which starts at 0."""
    selector = _Jumping()

    def make_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now  # type: ignore[method-assign]
        return loop

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main(lambda: selector.now))
