"""What all exchanges share, and the sweep that ends ejections on time."""

import asyncio
import random
from collections.abc import Callable

from llm_fallback.config.snapshot import Snapshot
from llm_fallback.events import Event
from llm_fallback.health import Health
from llm_fallback.rewriting import OriginalRequest
from llm_fallback.upstream.client import UpstreamClient
from llm_fallback.upstream.discovery import Discovery
from llm_fallback.upstream.exchange import Exchange, Observer


class Engine:
    """Carries managed requests out; one per process.

    `clock` gives seconds of a monotonic clock; `on_event` is told what happened.
    """

    def __init__(
        self, *, clock: Callable[[], float], rng: random.Random, on_event: Callable[[Event], None]
    ) -> None:
        self.client = UpstreamClient()
        self.health = Health()
        self.discovery = Discovery(clock, self.health.keep_only)
        self.clock = clock
        self.rng = rng
        self.on_event = on_event
        self._sweep: asyncio.TimerHandle | None = None

    def adopt(self, snapshot: Snapshot) -> None:
        """Get ready for a snapshot's targets; the health of those that stay is kept."""
        targets = snapshot.targets()
        self.client.prepare(targets)
        self.discovery.adopt(targets)
        self.health.adopt(targets, now=self.clock())

    def exchange(self, snapshot: Snapshot, request: OriginalRequest, observer: Observer) -> Exchange:
        """The exchange for a request to a managed host, not yet begun.

        Raises LookupError for a host that is not managed.
        """
        return Exchange(self, snapshot, request, observer)

    def sweep(self) -> None:
        """Do the sweeps that are due, and wake up for the next one that ends an ejection."""
        now = self.clock()
        for returned in self.health.advance(now):
            self.on_event(returned)
        if self._sweep:
            self._sweep.cancel()
            self._sweep = None
        next_return = self.health.next_return
        if next_return is not None:
            self._sweep = asyncio.get_running_loop().call_later(max(0.0, next_return - now), self.sweep)

    def close(self) -> None:
        """Close all connections and stop the sweep."""
        if self._sweep:
            self._sweep.cancel()
        self.client.close()
