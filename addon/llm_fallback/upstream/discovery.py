"""The endpoints of a target as they are now: written down, or found by DNS."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from llm_fallback.config.snapshot import Target, TargetKey
from llm_fallback.outlier import Endpoint

REFRESH_S = 5.0
"""How often DNS is asked (Envoy's default DNS refresh rate)."""

_LOOKUPS_AT_ONCE = 16  # of the 32 or fewer threads that all lookups of the process share

type Endpoints = tuple[Endpoint, ...]
type _Key = tuple[TargetKey, Endpoints]
type _Answer = Endpoints | None


class Discovery:
    """Finds the addresses behind targets with `resolution: DNS` (Envoy's STRICT_DNS).

    DNS is asked every REFRESH_S seconds whether there are requests or not; only a request that comes before
    the first answer waits. A name that does not exist has no endpoints; a resolver that does not answer
    changes nothing. `changed` is told of every new set of endpoints.
    """

    def __init__(self, changed: Callable[[Target, Endpoints], None]) -> None:
        self._changed = changed
        self._targets: dict[_Key, Target] = {}
        self._answers: dict[_Key, tuple[_Answer, ...]] = {}
        self._known: dict[_Key, Endpoints] = {}
        self._weights: dict[Target, dict[Endpoint, int]] = {}
        self._lookups: dict[_Key, asyncio.Task[Endpoints]] = {}
        self._free = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        self._refresh: asyncio.TimerHandle | None = None

    def adopt(self, targets: Iterable[Target]) -> None:
        """Follow these targets and no others; what is known of those that stay is kept.

        The first lookups begin at once if an event loop is running, or else with the first request.
        """
        self._targets = {_key(target): target for target in targets if target.per_address}
        self._answers = {key: answers for key, answers in self._answers.items() if key in self._targets}
        self._known = {key: known for key, known in self._known.items() if key in self._targets}
        self._weights.clear()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        for key, target in self._targets.items():
            if key not in self._known:
                self._begin(target)
        self._keep_refreshing()

    async def endpoints(self, target: Target) -> Endpoints:
        """The target's endpoints; only a call before the first answer of DNS waits."""
        if not target.per_address:
            return target.endpoints
        known = self._known.get(_key(target))
        if known is None:
            self._keep_refreshing()
            known = await asyncio.shield(self._begin(target))
        return known

    def known(self, target: Target) -> Endpoints:
        """The endpoints as far as they are known now: none before the first answer of DNS."""
        return self._known.get(_key(target), ()) if target.per_address else target.endpoints

    def count(self, target: Target) -> int:
        """How many endpoints the target has now."""
        return len(self._known.get(_key(target), ()) if target.per_address else target.endpoints)

    def weight(self, target: Target, endpoint: Endpoint) -> int:
        """The endpoint's share of the load; every address of a name has the name's."""
        if not target.weights:
            return 1
        weights = self._weights.get(target)
        if weights is None:
            weights = self._weights[target] = {}
            own = [(endpoint,) for endpoint in target.endpoints]
            answers = self._answers.get(_key(target), ()) if target.per_address else own
            for answer, weight in zip(answers, target.weights, strict=False):
                for address in answer or ():
                    weights.setdefault(address, max(1, weight))
        return weights.get(endpoint, 1)

    def close(self) -> None:
        """Ask no more."""
        if self._refresh:
            self._refresh.cancel()
            self._refresh = None
        for lookup in self._lookups.values():
            lookup.cancel()
        self._targets = {}

    def _keep_refreshing(self) -> None:
        if self._refresh is None and self._targets:
            self._refresh = asyncio.get_running_loop().call_later(REFRESH_S, self._refresh_all)

    def _refresh_all(self) -> None:
        self._refresh = None
        for target in self._targets.values():
            self._begin(target)
        self._keep_refreshing()

    def _begin(self, target: Target) -> asyncio.Task[Endpoints]:
        key = _key(target)
        if (lookup := self._lookups.get(key)) is None:
            lookup = self._lookups[key] = asyncio.create_task(self._look_up(key, target))
            lookup.add_done_callback(lambda _: self._lookups.pop(key, None))
        return lookup

    async def _look_up(self, key: _Key, target: Target) -> Endpoints:
        async with self._free:
            fresh = await asyncio.gather(*map(_addresses, target.endpoints))
        before = self._answers.get(key, (None,) * len(fresh))
        answers = tuple(old if new is None else new for old, new in zip(before, fresh, strict=True))
        found = _all_of(answers)
        if key in self._targets:  # or else an exchange that began before a reload asks
            is_new = found != self._known.get(key, ())
            self._answers[key], self._known[key] = answers, found
            self._weights.clear()
            if is_new:
                self._changed(target, found)
        return found


def _key(target: Target) -> _Key:
    """What stays of a target across reloads."""
    return target.key, target.endpoints


def _all_of(answers: Sequence[_Answer]) -> Endpoints:
    return tuple(dict.fromkeys(endpoint for answer in answers for endpoint in answer or ()))


async def _addresses(endpoint: Endpoint) -> _Answer:
    """The addresses of a name: none if it does not exist, None if nobody could say."""
    loop = asyncio.get_running_loop()
    look_up = partial(loop.getaddrinfo, endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
    try:
        try:
            # Only those that this machine has a way to: without IPv6, half of the endpoints would be dead.
            infos = await look_up(flags=socket.AI_ADDRCONFIG)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise
            infos = await look_up()  # the way to itself does not count there: `::1` would be no address
    except UnicodeError:
        return ()  # no name that DNS could know
    except socket.gaierror as error:
        return () if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None
    return tuple(Endpoint(str(info[4][0]), endpoint.port) for info in infos)
