"""What all exchanges share, and the sweep that ends ejections on time."""

import asyncio
import random
from collections.abc import Callable

from llm_fallback.balancing import Balancer
from llm_fallback.config.snapshot import LoadBalancing, Snapshot, Target, TargetKey
from llm_fallback.events import Event
from llm_fallback.health import Health
from llm_fallback.messages import OriginalRequest, Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides import Overrides
from llm_fallback.rescue.budget import RescueBudget
from llm_fallback.rescue.readmission import Readmission
from llm_fallback.status import EndpointStatus, TargetStatus
from llm_fallback.upstream.client import UpstreamClient
from llm_fallback.upstream.defects import report
from llm_fallback.upstream.discovery import Discovery
from llm_fallback.upstream.exchange import Exchange, Observer
from llm_fallback.upstream.mirroring import send_copy


class Engine:
    """Carries managed requests out; one per process.

    `clock` gives seconds of a monotonic clock, `wall_clock` those since 1970; `on_event` is told what
    happened.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
        on_event: Callable[[Event], None],
    ) -> None:
        self.client = UpstreamClient()
        self.health = Health()
        self.readmission = Readmission()
        self.budget = RescueBudget()
        self.discovery = Discovery(self._found)
        self.overrides = Overrides()
        self.clock = clock
        self.wall_clock = wall_clock
        self.rng = rng
        self.on_event = on_event
        self._sweep: asyncio.TimerHandle | None = None
        self._sweeps_at: float | None = None
        self._balancers: dict[TargetKey, tuple[LoadBalancing, Balancer]] = {}
        self._copies: set[asyncio.Task[None]] = set()

    def adopt(self, snapshot: Snapshot) -> None:
        """Get ready for a snapshot's targets; the health of those that stay is kept."""
        targets = snapshot.targets()
        self.client.prepare(targets)
        self.discovery.adopt(targets)
        for ended in self.health.adopt(targets, now=self.clock()):
            self.on_event(ended)
        self.readmission.adopt(targets)
        stay = {target.key: target.balancing for target in targets}
        self._balancers = {k: known for k, known in self._balancers.items() if stay.get(k) == known[0]}
        for target in targets:
            if not target.per_address:
                self._warm_up(target, target.endpoints)

    def _found(self, target: Target, endpoints: tuple[Endpoint, ...]) -> None:
        """DNS has new addresses for a target: nothing is kept of those that are gone."""
        for ended in self.health.keep_only(target, endpoints, now=self.clock()):
            self.on_event(ended)
        self.readmission.keep_only(target, endpoints)
        self.client.keep_only(target, endpoints)
        self._warm_up(target, endpoints)

    def _warm_up(self, target: Target, endpoints: tuple[Endpoint, ...]) -> None:
        if target.balancing.warmup:
            self.balancer(target).adopt(endpoints, now=self.clock())

    def exchange(self, snapshot: Snapshot, request: OriginalRequest, observer: Observer) -> Exchange:
        """The exchange for a request to a managed host, not yet begun.

        Raises LookupError for a host that is not managed.
        """
        return Exchange(self, snapshot, request, observer)

    def balancer(self, target: Target) -> Balancer:
        """The state of the target's load balancing, which its present settings begin anew."""
        known = self._balancers.get(target.key)
        if known is None or known[0] != target.balancing:
            known = self._balancers[target.key] = (target.balancing, Balancer(target.balancing))
        return known[1]

    def send_copy(self, target: Target, outgoing: Outgoing, timeout_s: float | None) -> None:
        """Send a copy of a request to a target that mirrors another; nobody waits for it."""
        copy = asyncio.create_task(send_copy(self, target, outgoing, timeout_s))
        self._copies.add(copy)
        copy.add_done_callback(self._copied)

    def status(self, snapshot: Snapshot) -> tuple[TargetStatus, ...]:
        """How the targets of the snapshot in force are now."""
        now = self.clock()
        return tuple(
            TargetStatus(target, tuple(self._status(target, e, now) for e in self.discovery.known(target)))
            for target in snapshot.targets()
        )

    def _status(self, target: Target, endpoint: Endpoint, now: float) -> EndpointStatus:
        load = self.client.load(target, endpoint)
        return EndpointStatus(
            endpoint,
            self.discovery.weight(target, endpoint),
            self.health.state(target, endpoint, now=now),
            self.health.held_until(target, endpoint),
            *load,
            by_hand_until=self.health.by_hand_until(target, endpoint),
        )

    def sweep(self) -> None:
        """Do the sweeps that are due, and wake up for the next one that ends an ejection."""
        now = self.clock()
        for place, returned in self.health.advance(now):
            self.readmission.returned(place, now=now)
            self.on_event(returned)
        next_return = self.health.next_return
        if next_return == self._sweeps_at:
            return
        if self._sweep:
            self._sweep.cancel()
            self._sweep = None
        self._sweeps_at = next_return
        if next_return is not None:
            self._sweep = asyncio.get_running_loop().call_later(max(0.0, next_return - now), self._wake)

    def _wake(self) -> None:
        self._sweeps_at = None  # the loop may be early, and has to be told again then
        self.sweep()

    def close(self) -> None:
        """Close all connections and stop the sweep."""
        if self._sweep:
            self._sweep.cancel()
        for copy in self._copies:
            copy.cancel()
        self.discovery.close()
        self.client.close()

    def _copied(self, copy: asyncio.Task[None]) -> None:
        self._copies.discard(copy)
        if not copy.cancelled() and isinstance(error := copy.exception(), Exception):
            report(error)
