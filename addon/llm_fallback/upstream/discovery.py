"""The endpoints of a target as they are now: written down, or found by DNS."""

import asyncio
import socket
from collections.abc import Callable

from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint

REFRESH_S = 5.0
"""How long an answer counts before DNS is asked again (Envoy's default DNS refresh rate)."""

type Endpoints = tuple[Endpoint, ...]


class Discovery:
    """Finds the addresses behind targets with `resolution: DNS` (Envoy's STRICT_DNS).

    The first request waits for the answer; later ones use the last answer while the next one is on its way. A
    name that does not exist has no endpoints; a resolver that does not answer changes nothing.
    `changed` is told of every new set of endpoints.
    """

    def __init__(self, clock: Callable[[], float], changed: Callable[[Target, Endpoints], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._known: dict[Target, tuple[float, Endpoints]] = {}
        self._lookups: dict[Target, asyncio.Task[Endpoints]] = {}

    async def endpoints(self, target: Target) -> Endpoints:
        """The target's endpoints; only the first call for a target that uses DNS waits."""
        if not target.per_address:
            return target.endpoints
        known = self._known.get(target)
        if known and self._clock() - known[0] < REFRESH_S:
            return known[1]
        lookup = self._lookups.get(target)
        if lookup is None:
            lookup = self._lookups[target] = asyncio.create_task(self._look_up(target))
        return known[1] if known else await asyncio.shield(lookup)

    async def _look_up(self, target: Target) -> Endpoints:
        try:
            found = [await _addresses(endpoint) for endpoint in target.endpoints]
        finally:
            del self._lookups[target]
        before = self._known.get(target, (0.0, ()))[1]
        answers = [answer for answer in found if answer is not None]
        now = tuple(dict.fromkeys(e for answer in answers for e in answer)) if answers else before
        self._known[target] = (self._clock(), now)
        if now != before:
            self._changed(target, now)
        return now


async def _addresses(endpoint: Endpoint) -> Endpoints | None:
    """The addresses of a name: none if it does not exist, None if nobody could say."""
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return () if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None
    return tuple(Endpoint(str(info[4][0]), endpoint.port) for info in infos)
