"""What a person can do about a running proxy: the one place where words become actions.

Each action says in one sentence what it did, tells it as an event, and is in memory only.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.events import Acted, Returned
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides import BadActionError, Fault, Place, fault_of
from llm_fallback.overrides.places import managed_host, single_target
from llm_fallback.upstream.engine import Engine
from llm_fallback.wording import counted, some_of

__all__ = ["ALL", "Actions", "BadActionError"]

ALL = "all"
"""What stands for every place."""

type _Targets = Sequence[tuple[Target, Sequence[Endpoint]]]

_LONGEST_S = 366 * 24 * 3600.0


class Actions:
    """The actions on an engine; `snapshot` gives the configuration in force.

    Every action raises BadActionError, one sentence, for what cannot be, and changes nothing then. They need
    the engine's event loop to be running.
    """

    def __init__(self, engine: Engine, snapshot: Callable[[], Snapshot]) -> None:
        self._engine = engine
        self._snapshot = snapshot

    def eject(self, place: str, for_s: float | None = None) -> str:
        """Take a place out of rotation, for some seconds or until it is returned."""
        if for_s is not None and not 0 < for_s <= _LONGEST_S:
            raise BadActionError("an ejection takes some seconds, up to a year; without a time it has no end")
        where = Place.parse(place)
        targets = self._targets(where)
        now = self._engine.clock()
        until = math.inf if for_s is None else now + for_s
        for target, known in targets:
            self._tell_all(
                self._engine.health.eject(target, where.endpoint, known, now=now, until=until),
            )
        lasts = "until it is returned" if for_s is None else f"for {for_s:g} s"
        return self._done(f"ejected {_named(where, targets)} by hand {lasts}", targets)

    def put_back(self, place: str) -> str:
        """Put a place, or all, back into rotation at once, whatever has taken it out."""
        where, targets = self._place_or_all(place)
        now = self._engine.clock()
        endpoint = where.endpoint if where else None
        returned: list[Returned] = []
        for target, known in targets:
            returned += self._engine.health.put_back(target, endpoint, known, now=now)
            for each in (endpoint,) if endpoint else known:
                self._engine.readmission.vouch((target.key, each))  # or it would be on probation
        self._tell_all(returned)
        if not returned:
            at = f" at {_named(where, targets)}" if where else ""
            anew = "anew" if where else "anew everywhere"
            return self._done(f"nothing was out of rotation{at}; failures count {anew}", targets)
        places = some_of([f"{each.host}:{each.port}@{each.endpoint}" for each in returned])
        return self._done(f"returned {places}", targets)

    def pin(self, host: str, target: str) -> str:
        """Send all requests for a managed host to one target, whatever rules and health say."""
        snapshot = self._snapshot()
        name, pinned = managed_host(host, snapshot), single_target(target, snapshot)
        self._engine.overrides.pins[name] = pinned.key
        return self._done(f"pinned {name} to {pinned} until cleared", [(pinned, ())])

    def fault(self, place: str, fault: Mapping[str, Any] | Fault) -> str:
        """Have a fault strike attempts at a place; as data, it is what `overrides.fault_of` takes."""
        where = Place.parse(place)
        targets = self._targets(where)
        made = fault if isinstance(fault, Fault) else fault_of(fault)
        injected = self._engine.overrides.inject(where, made)
        return self._done(f"fault {injected.id} at {where}: {injected}", targets)

    def clear(self, what: str = ALL) -> str:
        """End faults, pins and ejections by hand at a place, of a managed host, or all of them."""
        where, targets = self._cleared(what)
        now, overrides = self._engine.clock(), self._engine.overrides
        endpoint = where.endpoint if where else None
        returned: list[Returned] = []
        by_hand = 0
        for target, known in targets:
            by_hand += self._engine.health.is_out_by_hand(target, endpoint)
            returned += self._engine.health.end_by_hand(target, endpoint, known, now=now)
        self._tell_all(returned)
        is_host = where is None or where == Place(where.host)
        ended = {
            ("fault",): overrides.clear_faults(where),
            ("pin",): overrides.clear_pins(where.host if where else None) if is_host else 0,
            ("ejection by hand", "ejections by hand"): by_hand,
        }
        told = [counted(number, *words) for words, number in ended.items() if number]
        at = "" if where is None else f" at {where}"
        if not told:
            return f"there was nothing to clear{at}"
        *most, last = told
        listed = f"{', '.join(most)} and {last}" if most else last
        return self._done(f"cleared {listed}{at}", targets)

    def places(self) -> list[str]:
        """All places as they are written: hosts, targets, and endpoints."""
        found: dict[str, None] = {}
        for target in self._snapshot().targets():
            known = self._engine.discovery.known(target)
            found |= dict.fromkeys((target.host, str(target), *(f"{target}@{each}" for each in known)))
        return list(found)

    def _targets(self, where: Place) -> _Targets:
        """The targets that a place means, and their endpoints: those that have the one it names."""
        targets = [(each, self._engine.discovery.known(each)) for each in where.targets(self._snapshot())]
        if where.endpoint is None:
            return targets
        found = [(target, known) for target, known in targets if where.endpoint in known]
        if not found:
            names = list(dict.fromkeys(str(each) for _, known in targets for each in known))
            there = f"there are {some_of(names)}" if names else "none is known"
            target = Place(where.host, where.port, where.subset)
            raise BadActionError(f"no endpoint {where.endpoint} of {target}; {there}")
        return found

    def _place_or_all(self, written: str) -> tuple[Place | None, _Targets]:
        if written.strip() == ALL:
            return None, [(each, self._engine.discovery.known(each)) for each in self._snapshot().targets()]
        where = Place.parse(written)
        return where, self._targets(where)

    def _cleared(self, written: str) -> tuple[Place | None, _Targets]:
        """As `_place_or_all`, but a managed host need not have a target, nor a fault's place still exist."""
        try:
            return self._place_or_all(written)
        except BadActionError:
            where = Place.parse(written)
            overrides = self._engine.overrides
            is_known = self._snapshot().manages(where.host) or where.host in overrides.pins
            if is_known or any(where.contains(each.place) for each in overrides.faults):
                return where, []
            raise

    def _tell_all(self, events: Iterable[Any]) -> None:
        for event in events:
            self._engine.on_event(event)

    def _done(self, text: str, targets: Sequence[tuple[Target, object]]) -> str:
        """Tell the action, and wake up for what it has made due."""
        self._engine.on_event(Acted(text, str(targets[0][0]) if len(targets) == 1 else None))
        self._engine.sweep()
        return text


def _named(where: Place, targets: Sequence[tuple[Target, object]]) -> str:
    endpoint = f"@{where.endpoint}" if where.endpoint else ""
    return some_of([f"{target}{endpoint}" for target, _ in targets])
