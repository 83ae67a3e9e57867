"""Who is in rotation now, across reloads: the detectors of all targets, and what stands beside them. Pure."""

from collections.abc import Iterable, Sequence

from llm_fallback.by_hand import ByHand
from llm_fallback.config.snapshot import Target, TargetEndpoint, TargetKey
from llm_fallback.events import Ejected, Returned
from llm_fallback.outlier import Detector, Endpoint, HostMonitor, Outcome, State
from llm_fallback.rescue.hold_offs import HoldOffs

ASKED = "asked by the provider"
"""The reason for an ejection that is no outlier detection's."""

BY_HAND = "by hand"
"""The reason for an ejection that a person wanted."""


class Health:
    """Outlier detection of every target that has it, keyed by host, port and subset.

    The state belongs to these and the endpoint and not to the configuration, so it survives a reload in which
    they stay. `now` is in seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._targets: dict[TargetKey, Target] = {}
        self._detectors: dict[TargetKey, Detector] = {}
        self._hold_offs = HoldOffs()
        self._by_hand = ByHand()
        self._with_ejections: set[TargetKey] = set()
        """Few, however many detectors there are: only these have sweeps to do."""

    def adopt(self, targets: Iterable[Target], *, now: float) -> list[Returned]:
        """Have a detector for each of the targets that asks for one, and for no other.

        Says which ejections that has ended: an endpoint is gone, or nothing ejects it any more.
        """
        out = self._out_since()
        before, self._detectors = self._detectors, {}
        self._targets = {target.key: target for target in targets}
        for target in self._targets.values():
            if target.outlier:
                known = before.get(target.key)
                if known is None:
                    known = Detector(target.outlier, created_at=now)
                known.policy = target.outlier
                if not target.per_address:
                    known.keep_only(target.endpoints)
                self._detectors[target.key] = known
        self._with_ejections &= self._detectors.keys()
        self._by_hand.keep_only(self._targets)
        self._hold_offs.keep_only(self._has)
        return [
            _returned(key, endpoint, now - since, is_gone=not self._has(key, endpoint))
            for (key, endpoint), since in out.items()
            if not self._is_out(key, endpoint)
        ]

    def is_ejected(self, target: Target, endpoint: Endpoint) -> bool:
        """Whether the endpoint is out of rotation."""
        return self._is_out(target.key, endpoint)

    def is_healthy(self, target: Target, endpoints: Sequence[Endpoint]) -> bool:
        """Whether at least one of the target's endpoints is in rotation."""
        return any(not self.is_ejected(target, endpoint) for endpoint in endpoints)

    def monitor(self, target: Target, endpoint: Endpoint) -> HostMonitor | None:
        """What tells the endpoint from one that has its address later; None without outlier detection."""
        detector = self._detectors.get(target.key)
        return detector.monitor(endpoint) if detector else None

    def record(
        self,
        target: Target,
        endpoint: Endpoint,
        outcome: Outcome,
        *,
        total: int,
        now: float,
        monitor: HostMonitor | None = None,
    ) -> Ejected | None:
        """Take one attempt into account; say so if it caused an ejection.

        With the `monitor` from before the attempt, an endpoint that has left since is not charged.
        """
        detector = self._detectors.get(target.key)
        if detector is None:
            return None
        ejection = detector.record(endpoint, outcome, total=total, now=now, monitor=monitor)
        if ejection is None:
            return None
        self._with_ejections.add(target.key)
        return Ejected(
            target.host,
            target.port,
            str(endpoint),
            ejection.reason.value,
            ejection.duration_s,
            ejection.multiplier,
            target.subset,
        )

    def hold_off(self, target: Target, endpoint: Endpoint, *, seconds: float, now: float) -> Ejected | None:
        """Leave an endpoint alone that has asked for it; say so if that is new.

        What a request hears that is older than the configuration may be about nobody.
        """
        if not self._has(target.key, endpoint):
            return None
        if not self._hold_offs.hold(target.key, endpoint, now=now, until=now + seconds):
            return None
        return Ejected(target.host, target.port, str(endpoint), ASKED, seconds, 1, target.subset)

    def held_until(self, target: Target, endpoint: Endpoint) -> float | None:
        """Until when an endpoint has asked to be left alone; None if it has not."""
        return self._hold_offs.until(target.key, endpoint)

    def eject(
        self,
        target: Target,
        endpoint: Endpoint | None,
        endpoints: Sequence[Endpoint],
        *,
        now: float,
        until: float,
    ) -> list[Ejected]:
        """Take an endpoint out by hand, or with None the target, which has these; `until` may be infinite.

        Says which endpoints have left the rotation; the duration of an infinite ejection is infinite.
        """
        before = [each for each in endpoints if self.is_ejected(target, each)]
        new = self._by_hand.eject(target.key, endpoint, endpoints, now=now, until=until)
        return [
            Ejected(target.host, target.port, str(each), BY_HAND, until - now, 0, target.subset)
            for each in new
            if each not in before
        ]

    def put_back(
        self, target: Target, endpoint: Endpoint | None, endpoints: Sequence[Endpoint], *, now: float
    ) -> list[Returned]:
        """End all that keeps the endpoint, or all of the target's, out of rotation, and count anew."""
        places = (endpoint,) if endpoint else endpoints
        ended = [back for _, back in self._by_hand.put_back(target.key, endpoint, endpoints, now=now)]
        ended += [back for each in places if (back := self._hold_offs.put_back(target.key, each, now=now))]
        if detector := self._detectors.get(target.key):
            ended += [back for each in places if (back := detector.put_back(each, now=now))]
        durations: dict[Endpoint, float] = {}
        for back in ended:
            durations[back.endpoint] = max(back.duration_s, durations.get(back.endpoint, 0.0))
        return [
            _returned(target.key, each, duration_s)
            for each, duration_s in durations.items()
            if not self.is_ejected(target, each)
        ]

    def end_by_hand(
        self, target: Target, endpoint: Endpoint | None, endpoints: Sequence[Endpoint], *, now: float
    ) -> list[Returned]:
        """End the ejections by hand, and no others."""
        return [
            _returned(target.key, back.endpoint, back.duration_s)
            for _, back in self._by_hand.put_back(target.key, endpoint, endpoints, now=now)
            if not self.is_ejected(target, back.endpoint)
        ]

    def is_out_by_hand(self, target: Target, endpoint: Endpoint | None) -> bool:
        """Whether the endpoint, or with None any of the target's, is out by hand."""
        return self._by_hand.concerns(target.key, endpoint)

    def by_hand_until(self, target: Target, endpoint: Endpoint) -> float | None:
        """When an endpoint that is out by hand comes back: infinity if nobody has said; None if it is not."""
        return self._by_hand.until(target.key, endpoint) if self._by_hand.spans else None

    def without_by_hand(self, target: Target, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        """The endpoints that panic may bring back: all but those that are out by hand."""
        if not self._by_hand.spans:
            return endpoints
        return [endpoint for endpoint in endpoints if not self._by_hand.holds(target.key, endpoint)]

    def left_alone_until(self, target: Target, endpoint: Endpoint) -> float | None:
        """When an endpoint that has asked not to be, or is out by hand, may be asked again, perhaps never."""
        moments = (self.held_until(target, endpoint), self.by_hand_until(target, endpoint))
        return max((moment for moment in moments if moment is not None), default=None)

    def returns_at(self, target: Target, endpoint: Endpoint) -> float | None:
        """When an endpoint that the detector has ejected comes back; None for one that it has not."""
        detector = self._detectors.get(target.key)
        return detector.returns_at(endpoint) if detector else None

    def state(self, target: Target, endpoint: Endpoint, *, now: float) -> State | None:
        """What outlier detection knows of an endpoint; None where the target has none."""
        detector = self._detectors.get(target.key)
        return detector.state(endpoint, now=now) if detector else None

    def advance(self, now: float) -> list[tuple[TargetEndpoint, Returned]]:
        """Do the sweeps that are due; say who came back."""
        due = self._hold_offs.advance(now)
        if self._by_hand.spans:
            due += self._by_hand.advance(now)
        for key in tuple(self._with_ejections):
            detector = self._detectors[key]
            due += [(key, back) for back in detector.advance(now)]
            if detector.next_return is None:
                self._with_ejections.discard(key)
        return [
            ((key, back.endpoint), _returned(key, back.endpoint, back.duration_s))
            for key, back in due
            if not self._is_out(key, back.endpoint)  # for the other reason
        ]

    def keep_only(self, target: Target, endpoints: Sequence[Endpoint], *, now: float) -> list[Returned]:
        """Forget the target's endpoints that are gone; say which of them were out.

        Not what a person has said of them: DNS may name them again.
        """
        out = self._out_since()
        if detector := self._detectors.get(target.key):
            detector.keep_only(endpoints)
        self._hold_offs.keep_only(lambda key, endpoint: key != target.key or endpoint in endpoints)
        return [
            _returned(key, endpoint, now - since, is_gone=True)
            for (key, endpoint), since in out.items()
            if not self._is_out(key, endpoint)
        ]

    @property
    def next_return(self) -> float | None:
        """When the next ejected endpoint comes back; None while nobody is ejected."""
        returns = [self._detectors[key].next_return for key in self._with_ejections]
        returns += [self._hold_offs.next_return, self._by_hand.next_return]
        return min((moment for moment in returns if moment is not None), default=None)

    def _has(self, key: TargetKey, endpoint: Endpoint) -> bool:
        """Whether the configuration has the endpoint, or DNS may find it."""
        target = self._targets.get(key)
        return target is not None and (target.per_address or endpoint in target.endpoints)

    def _out_since(self) -> dict[TargetEndpoint, float]:
        """All that are out of rotation, and since when."""
        found = [
            *(((key, each), at) for key in self._with_ejections for each, at in self._detectors[key].since()),
            *self._by_hand.since(),
            *self._hold_offs.since(),
        ]
        out: dict[TargetEndpoint, float] = {}
        for each, since in found:
            out[each] = min(since, out.get(each, since))
        return out

    def _is_out(self, key: TargetKey, endpoint: Endpoint) -> bool:
        if key in self._with_ejections and self._detectors[key].is_ejected(endpoint):
            return True
        if self._by_hand.spans and self._by_hand.holds(key, endpoint):
            return True
        return self._hold_offs.holds(key, endpoint)


def _returned(key: TargetKey, endpoint: Endpoint, duration_s: float, *, is_gone: bool = False) -> Returned:
    host, port, subset = key
    return Returned(host, port, str(endpoint), duration_s, subset, is_gone)
