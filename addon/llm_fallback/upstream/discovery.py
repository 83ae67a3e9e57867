"""The endpoints of a target as they are now: written down, or found by DNS."""

import asyncio
import socket
from collections.abc import Callable, Iterable

from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint

REFRESH_S = 5.0
"""How long an answer counts before DNS is asked again (Envoy's default DNS refresh rate)."""

type Endpoints = tuple[Endpoint, ...]
type _Key = tuple[str, int, Endpoints]


class Discovery:
    """Finds the addresses behind targets with `resolution: DNS` (Envoy's STRICT_DNS).

    The first request waits for the answer; later ones use the last answer while the next one is on its way. A
    name that does not exist has no endpoints; a resolver that does not answer changes nothing.
    `changed` is told of every new set of endpoints.
    """

    def __init__(self, clock: Callable[[], float], changed: Callable[[Target, Endpoints], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._known: dict[_Key, tuple[float, Endpoints]] = {}
        self._lookups: dict[_Key, asyncio.Task[Endpoints]] = {}

    def adopt(self, targets: Iterable[Target]) -> None:
        """Keep the answers for these targets, and no others."""
        keys = {_key(target) for target in targets}
        self._known = {key: known for key, known in self._known.items() if key in keys}

    async def endpoints(self, target: Target) -> Endpoints:
        """The target's endpoints; only the first call for a target that uses DNS waits."""
        if not target.per_address:
            return target.endpoints
        key = _key(target)
        known = self._known.get(key)
        if known and self._clock() - known[0] < REFRESH_S:
            return known[1]
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.create_task(self._look_up(target))
        return known[1] if known else await asyncio.shield(lookup)

    async def _look_up(self, target: Target) -> Endpoints:
        key = _key(target)
        try:
            answers = [await _addresses(endpoint) for endpoint in target.endpoints]
        finally:
            del self._lookups[key]
        before = self._known.get(key, (0.0, ()))[1]
        given = [answer for answer in answers if answer is not None]
        found = tuple(dict.fromkeys(e for answer in given for e in answer)) if given else before
        self._known[key] = (self._clock(), found)
        if found != before:
            self._changed(target, found)
        return found


def _key(target: Target) -> _Key:
    """What stays of a target across reloads."""
    return target.host, target.port, target.endpoints


async def _addresses(endpoint: Endpoint) -> Endpoints | None:
    """The addresses of a name: none if it does not exist, None if nobody could say."""
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        return ()  # no name that DNS could know
    except socket.gaierror as error:
        return () if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None
    return tuple(Endpoint(str(info[4][0]), endpoint.port) for info in infos)
