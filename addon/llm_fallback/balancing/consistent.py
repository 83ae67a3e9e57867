"""Tables of consistent hashing: a request's hash leads to an endpoint, and to the same one while it is there.

Both are Envoy's to the last entry, so that this proxy and a mesh choose alike: names of endpoints are
`address:port`, hashes are xxHash64, and normalised weights are floating-point numbers.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from xxhash import xxh64_intdigest

from llm_fallback.outlier import Endpoint

_MAX_RING_SIZE = 8 * 1024 * 1024  # Envoy's default
_MASK = 2**64 - 1


class Table(Protocol):
    """Endpoints by hash."""

    def endpoint(self, key: int, number: int = 0) -> Endpoint:
        """The endpoint for the 64-bit hash of a request; a `number` above 0 asks for another one."""


@dataclass(frozen=True, slots=True)
class _Ring:
    points: Sequence[int]
    owners: Sequence[Endpoint]

    def endpoint(self, key: int, number: int = 0) -> Endpoint:
        """The one whose point is the next, or so many after it."""
        return self.owners[(bisect_left(self.points, key) + number) % len(self.owners)]


def ring(endpoints: Sequence[Endpoint], weights: Sequence[int], minimum_size: int) -> Table:
    """A ring (Ketama) of at least `minimum_size` points; the lightest endpoint has a whole number of them."""
    shares = _shares(weights)
    lightest = min(shares)
    scale = min(math.ceil(lightest * minimum_size) / lightest, _MAX_RING_SIZE)
    points: list[tuple[int, Endpoint]] = []
    wanted = 0.0
    for endpoint, share in zip(endpoints, shares, strict=True):
        wanted += scale * share
        numbers = count()
        while len(points) < wanted:
            points.append((xxh64_intdigest(f"{endpoint}_{next(numbers)}".encode()), endpoint))
    points.sort(key=lambda point: point[0])
    return _Ring([point for point, _ in points], [owner for _, owner in points])


@dataclass(frozen=True, slots=True)
class _Maglev:
    endpoints: Sequence[Endpoint]
    slots: Sequence[int]

    def endpoint(self, key: int, number: int = 0) -> Endpoint:
        """The one in the key's slot, or in that of a key that Envoy makes of both."""
        return self.endpoints[self.slots[(key ^ -number & _MASK) % len(self.slots)]]


@dataclass(slots=True)
class _Claim:
    """What an endpoint does while the table is filled: it asks for slots in an order of its own."""

    number: int
    share: float
    slot: int
    skip: int
    turn: float = field(default=0.0)


def maglev(endpoints: Sequence[Endpoint], weights: Sequence[int], size: int) -> Table:
    """A Maglev table; `size` is a prime number, or else the table may never fill."""
    names = sorted((str(e).encode(), e, share) for e, share in zip(endpoints, _shares(weights), strict=True))
    claims = [
        _Claim(number, share, xxh64_intdigest(name) % size, xxh64_intdigest(name, 1) % (size - 1) + 1)
        for number, (name, _, share) in enumerate(names)
    ]
    free = -1
    slots = array("i", [free]) * size
    heaviest = max(claim.share for claim in claims)
    left = size
    for iteration in count(1):
        for claim in claims:
            if left == 0:
                return _Maglev([endpoint for _, endpoint, _ in names], slots)
            if iteration * claim.share < claim.turn:
                continue
            claim.turn += heaviest
            slot, skip = claim.slot, claim.skip
            while slots[slot] != free:
                slot = (slot + skip) % size
            slots[slot] = claim.number
            claim.slot = (slot + skip) % size
            left -= 1
    raise AssertionError  # unreachable: the loop above ends with a full table


def _shares(weights: Sequence[int]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]
