"""A thread that takes events, so that nobody waits for what is made of them."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from llm_fallback.events import Handled

_MAX_WAITING = 2048
_MAX_SECONDS_TO_END = 2.0

logger = logging.getLogger("llm-fallback")


class Taker(Protocol):
    """Who takes events, in the thread; its `close` may take its time."""

    def take(self, event: Handled) -> None:
        """Make something of it."""

    def close(self) -> None:
        """There are no more."""


class Background:
    """Passes events on; those that come too fast are lost, and the first time that is said."""

    def __init__(self, taker: Taker, name: str) -> None:
        self._taker = taker
        self._name = name
        self._waiting: SimpleQueue[Handled | None] = SimpleQueue()
        self._said: set[str] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def take(self, event: Handled) -> None:
        """Pass it on soon; never blocks, never raises."""
        if self._waiting.qsize() < _MAX_WAITING:
            self._waiting.put(event)
        else:
            self._say_once("events come faster than they are told of; some are lost")

    def close(self) -> None:
        """End what waits, within _MAX_SECONDS_TO_END; whoever takes longer holds up nothing."""
        self._waiting.put(None)
        self._thread.join(_MAX_SECONDS_TO_END)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            self._try(self._taker.take, event)
        self._try(self._taker.close)

    def _try(self, step: Callable[..., None], *arguments: Handled) -> None:
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001 - one event is lost; without the thread all would be
            self._say_once(f"an event could not be told: {type(error).__name__}")

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            logger.warning("%s: %s", self._name, what)
