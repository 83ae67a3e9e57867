"""An event loop in a thread: servers for tests that are themselves synchronous."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Self

DEADLINE_S = 30.0
"""For whatever must happen, sooner or later: generous, because a busy machine may be slow."""


class Background:
    """Runs coroutines while the test goes on; `with` starts and stops it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE_S)

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the loop call a function soon."""
        self.loop.call_soon_threadsafe(function, *arguments)

    @contextmanager
    def serving[T](self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Hold an asynchronous context open."""
        value = self.run(_enter(manager))
        try:
            yield value
        finally:
            self.run(_leave(manager))


async def _enter[T](manager: AbstractAsyncContextManager[T]) -> T:
    return await manager.__aenter__()


async def _leave[T](manager: AbstractAsyncContextManager[T]) -> None:
    await manager.__aexit__(None, None, None)


def seconds() -> float:
    """The clock by which tests of other processes wait."""
    return time.monotonic()  # noqa: TID251 - those processes read their own


def wait_until(condition: Callable[[], object], what: str, *, within_s: float = DEADLINE_S) -> None:
    """Wait for a condition; AssertionError if it does not come true in time."""
    deadline = seconds() + within_s
    while not condition():
        assert seconds() < deadline, f"after {within_s:g} s still not: {what}"
        time.sleep(0.01)
