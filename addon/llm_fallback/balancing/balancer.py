"""Envoy's load balancers for one target.

    LEAST_REQUEST  the less busy of two endpoints taken at random, which may be the same one
    ROUND_ROBIN    one after the other, from a random start
    RANDOM         any; weights play no part
    RING_HASH      the endpoint whose point on a ring follows the hash of the request
    MAGLEV         the endpoint in the slot of a table that the hash of the request names

The first two turn to a schedule (`schedule.py`) when weights differ or an endpoint is warming up; least
request then divides an endpoint's weight by its active requests and one. As in Envoy, what is built from the
candidates is kept until they change.
"""

import random
from collections.abc import Callable, Iterable, Sequence

from llm_fallback.balancing.consistent import Table, maglev, ring
from llm_fallback.balancing.schedule import Schedule
from llm_fallback.config.snapshot import Algorithm, LoadBalancing
from llm_fallback.outlier import Endpoint

_TABLES_KEPT = 8  # an endpoint that is ejected and comes back needs no new table
_RANDOM_BITS = 64

type Measure = Callable[[Endpoint], int]
type _Present = tuple[tuple[Endpoint, ...], tuple[int, ...]]


class Balancer:
    """Picks endpoints for the requests to one target.

    `now` is in seconds of a monotonic clock. A target whose balancing is configured anew gets a new Balancer,
    as it gets a new cluster in Envoy.
    """

    def __init__(self, balancing: LoadBalancing) -> None:
        self._algorithm = balancing.algorithm
        self._table_size = balancing.table_size
        self._warmup = balancing.warmup
        self._since: dict[Endpoint, float] = {}
        self._newest = float("-inf")
        self._present: _Present = ((), ())
        self._schedule: Schedule | None = None
        self._position: int | None = None
        self._tables: dict[_Present, Table] = {}

    def adopt(self, endpoints: Iterable[Endpoint], *, now: float) -> None:
        """Say which endpoints the target has: new ones begin to warm up, those gone are forgotten.

        Without it, an endpoint is new when it is first a candidate.
        """
        if self._warmup:
            known = self._since
            self._since = {}
            for endpoint in endpoints:
                self._notice(endpoint, known.get(endpoint, now))

    def pick(  # noqa: PLR0913 - what a choice may go by
        self,
        candidates: Sequence[Endpoint],
        *,
        weight: Measure,
        active: Measure,
        hash_key: int | None,
        now: float,
        rng: random.Random,
        number: int = 0,
    ) -> Endpoint:
        """The endpoint for a request, among the healthy ones or, in panic, among all; at least one is needed.

        `active` gives the requests that an endpoint is serving. Without a hash key, hashing picks at random.
        `number` counts the picks for one attempt, of which a retry may need several to find another endpoint.
        """
        if len(candidates) == 1:
            return candidates[0]
        match self._algorithm:
            case Algorithm.RANDOM:
                return rng.choice(candidates)
            case Algorithm.RING_HASH | Algorithm.MAGLEV:
                key = rng.getrandbits(_RANDOM_BITS) if hash_key is None else hash_key
                return self._table(_with_weights(candidates, weight)).endpoint(key, number)
            case Algorithm.LEAST_REQUEST | Algorithm.ROUND_ROBIN:
                return self._pick_by_weight(candidates, weight, active, now, rng)

    def _pick_by_weight(
        self,
        candidates: Sequence[Endpoint],
        weight: Measure,
        active: Measure,
        now: float,
        rng: random.Random,
    ) -> Endpoint:
        is_least_request = self._algorithm is Algorithm.LEAST_REQUEST

        def current_weight(endpoint: Endpoint) -> float:
            busy = active(endpoint) + 1 if is_least_request else 1
            return weight(endpoint) / busy * self._warmth(endpoint, now)

        if self._present != (present := _with_weights(candidates, weight)):
            self._present = present
            self._schedule = None
            if self._is_warming(candidates, now) or len(set(present[1])) > 1:
                self._schedule = Schedule(candidates, current_weight, picks=rng.getrandbits(_RANDOM_BITS))
        if self._schedule:
            return self._schedule.pick(current_weight)
        if is_least_request:
            one, other = rng.choice(candidates), rng.choice(candidates)
            return other if active(other) < active(one) else one
        position = rng.getrandbits(_RANDOM_BITS) if self._position is None else self._position
        self._position = position + 1
        return candidates[position % len(candidates)]

    def _notice(self, endpoint: Endpoint, since: float) -> None:
        self._since[endpoint] = since
        self._newest = max(self._newest, since)

    def _is_warming(self, candidates: Iterable[Endpoint], now: float) -> bool:
        if self._warmup is None:
            return False
        for endpoint in candidates:
            if endpoint not in self._since:
                self._notice(endpoint, now)
        return now - self._newest <= self._warmup.duration_s

    def _warmth(self, endpoint: Endpoint, now: float) -> float:
        """The part of its weight that an endpoint has so far."""
        warmup = self._warmup
        age = now - self._since.get(endpoint, now)
        if warmup is None or age >= warmup.duration_s:
            return 1.0
        grown = float((max(age, 0.001) / warmup.duration_s) ** (1 / warmup.aggression))
        return max(grown, warmup.minimum_percent / 100)

    def _table(self, present: _Present) -> Table:
        if (table := self._tables.get(present)) is None:
            build = ring if self._algorithm is Algorithm.RING_HASH else maglev
            table = build(*present, self._table_size)
            if len(self._tables) >= _TABLES_KEPT:
                del self._tables[next(iter(self._tables))]
            self._tables[present] = table
        return table


def _with_weights(candidates: Sequence[Endpoint], weight: Measure) -> _Present:
    return tuple(candidates), tuple(map(weight, candidates))
