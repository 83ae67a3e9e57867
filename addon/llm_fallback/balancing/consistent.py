"""Tables of consistent hashing: a request's hash leads to an endpoint, and to the same one while it is there.

Both are Envoy's to the last entry, so that this proxy and a mesh choose alike: names of endpoints are
`address:port`, hashes are xxHash64, and normalised weights are floating-point numbers.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import Protocol

from xxhash import xxh64_intdigest

from llm_fallback.config.snapshot import LARGEST_TABLE
from llm_fallback.outlier import Endpoint

_MASK = 2**64 - 1


class Table(Protocol):
    """Endpoints by hash."""

    def endpoint(self, key: int, number: int = 0) -> Endpoint:
        """The endpoint for the 64-bit hash of a request; a `number` above 0 asks for another one."""


@dataclass(frozen=True, slots=True)
class _Ring:
    endpoints: Sequence[Endpoint]
    points: Sequence[int]
    owners: Sequence[int]

    def endpoint(self, key: int, number: int = 0) -> Endpoint:
        """The one whose point is the next, or so many after it."""
        return self.endpoints[self.owners[(bisect_left(self.points, key) + number) % len(self.owners)]]


def ring(endpoints: Sequence[Endpoint], weights: Sequence[int], minimum_size: int) -> Table:
    """A ring (Ketama) of at least `minimum_size` points; the lightest endpoint has a whole number of them.

    Weights that are very unequal make it larger, but never much larger than LARGEST_TABLE.
    """
    shares = _shares(weights)
    lightest = min(shares)
    scale = min(math.ceil(lightest * minimum_size) / lightest, LARGEST_TABLE)
    owner_of: dict[int, int] = {}  # two points in one place, of 2^64 places, are not reckoned with
    wanted, made = 0.0, 0
    for owner, (endpoint, share) in enumerate(zip(endpoints, shares, strict=True)):
        wanted += scale * share
        name, many = str(endpoint).encode(), max(0, math.ceil(wanted) - made)
        owner_of.update(zip([xxh64_intdigest(b"%b_%d" % (name, i)) for i in range(many)], repeat(owner)))
        made += many
    points = sorted(owner_of)
    return _Ring(endpoints, array("Q", points), array("i", map(owner_of.__getitem__, points)))


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
