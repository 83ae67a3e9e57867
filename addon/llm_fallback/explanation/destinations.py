"""The destinations of a rule: who takes the request, and what is sent there. Pure."""

from dataclasses import dataclass, replace

from llm_fallback import local_replies
from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import RouteDestination
from llm_fallback.config.snapshot import Snapshot, Target, TargetKey, name_of
from llm_fallback.explanation import model, redacted
from llm_fallback.explanation.draws import HighestDraw
from llm_fallback.explanation.places import IsEjected, candidates, is_healthy, place
from llm_fallback.explanation.sending import sent
from llm_fallback.messages import OriginalRequest, Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.rescue.retries import retries_at
from llm_fallback.resources.llmfallbackpolicy import AllEjected
from llm_fallback.retry import try_timeout_s
from llm_fallback.rewriting import Plan, rewrite
from llm_fallback.routing import Matched, Routed, choose_destination, find_target
from llm_fallback.selection import choose_target


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A request that falls under a rule, credentials included, who is healthy, and its host's pin."""

    snapshot: Snapshot
    request: OriginalRequest
    matched: Matched
    is_ejected: IsEjected
    pinned: TargetKey | None = None

    @property
    def rescue(self) -> RescuePolicy | None:
        """The policy that saves the request if it fails; a large one has none, nor has one that is pinned."""
        policy = None if self.pinned else self.matched.route.rescue
        return policy if policy and len(self.request.body) <= policy.max_request_bytes else None


def destinations(asked: Asked) -> tuple[model.Destination, ...]:
    """All destinations of the rule, as each would take the request."""
    action = asked.matched.route.action
    chosen = action if isinstance(action, tuple) else ()
    total = sum(destination.weight for destination in chosen)
    return tuple(_destination(asked, each, 100 * each.weight / total) for each in chosen)


def mirrors(asked: Asked) -> tuple[model.Mirror, ...]:
    """Where copies go."""
    found = ((mirror, _target(asked, mirror.destination)) for mirror in asked.matched.route.mirrors)
    return tuple(
        model.Mirror(
            _name(asked, mirror.destination),
            mirror.percent,
            place(target, asked.is_ejected) if target else None,
        )
        for mirror, target in found
    )


def _destination(asked: Asked, chosen: RouteDestination, percent: float) -> model.Destination:
    routed = _routed(asked, chosen)
    chain = _chain(asked, routed)
    taken = _taken(asked, routed, chain)
    # Whoever is pinned is asked, ejected or not.
    endpoints = candidates(taken, _nobody if asked.pinned else asked.is_ejected) if taken else ()
    answer = None if endpoints else _answer(asked, routed, chain)
    told = model.Destination(
        name=name_of(asked.pinned) if asked.pinned else _name(asked, chosen.destination),
        percent=percent,
        request_headers=redacted.operations(chosen.headers.request),
        response_headers=redacted.operations(chosen.headers.response),
        target=place(routed.target, asked.is_ejected) if routed.target else None,
        fallback=_fallback(asked, routed, taken),
        chain=tuple(place(target, asked.is_ejected) for target in chain),
        uses=model.Use.NOWHERE,
        place=None,
        sent=None,
        answer=answer,
    )
    if taken is None or not endpoints:
        return told
    plan = Plan.of(
        asked.matched.route,
        asked.matched.match,
        chosen,
        fell_back=taken is not _target(asked, chosen.destination),
        is_rescue=asked.rescue is not None,
        is_pinned=asked.pinned is not None,
    )
    outgoing = rewrite(asked.request, taken, asked.snapshot.provider_of(asked.request.host), plan)
    return replace(
        told,
        uses=_use(routed, taken),
        place=place(taken, asked.is_ejected),
        sent=sent(
            asked.request, outgoing.for_attempt(1, _timeout_s(asked, taken, outgoing)), taken, endpoints, plan
        ),
    )


def _routed(asked: Asked, chosen: RouteDestination) -> Routed:
    """The target and the fallback of a destination, or the pinned target in their place."""
    if asked.pinned:
        return Routed(chosen, asked.snapshot.target(asked.pinned), None)
    port = asked.request.port
    return choose_destination(asked.snapshot, (chosen,), listener_port=port, rng=HighestDraw())


def _nobody(_target: Target, _endpoint: Endpoint) -> bool:
    return False


def _chain(asked: Asked, routed: Routed) -> tuple[Target, ...]:
    """The further targets of the rescue policy, as they are written; links with weights are drawn in fact."""
    links = asked.rescue.chain if asked.rescue else ()
    found = (_target(asked, link.destination) for link in links)
    known = (routed.target, routed.fallback)
    return tuple(dict.fromkeys(target for target in found if target is not None and target not in known))


def _taken(asked: Asked, routed: Routed, chain: tuple[Target, ...]) -> Target | None:
    """Where the first attempt goes."""
    target, fallback = routed.target, routed.fallback
    if target is None:
        return None
    if asked.rescue:
        order = _order(routed, chain)
        return next((each for each in order if is_healthy(each, asked.is_ejected)), None)
    return choose_target(target, fallback, lambda each: is_healthy(each, asked.is_ejected))


def _timeout_s(asked: Asked, target: Target, outgoing: Outgoing) -> float | None:
    """Seconds that the first attempt may take."""
    route, rescue = asked.matched.route, asked.rescue
    if rescue is None:
        return try_timeout_s(route.retries, route.timeout_s)
    left = rescue.deadline_s if route.timeout_s is None else min(rescue.deadline_s, route.timeout_s)
    return try_timeout_s(retries_at(len(target.endpoints), route.retries, rescue, outgoing.body), left)


def _order(routed: Routed, chain: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets that a policy has asked, one after the other."""
    return tuple(target for target in (routed.target, routed.fallback, *chain) if target is not None)


def _answer(asked: Asked, routed: Routed, chain: tuple[Target, ...]) -> model.Answer | None:
    """What the proxy answers if there is nobody to send to."""
    if routed.target is None:
        return redacted.answer(local_replies.NO_SUCH_TARGET, "there is no such host, port or subset")
    tries_anyway = asked.rescue is not None and asked.rescue.all_ejected is AllEjected.TRY_SOONEST
    if tries_anyway and any(target.endpoints for target in _order(routed, chain)):
        return None
    return redacted.answer(local_replies.NO_HEALTHY_UPSTREAM, f"{routed.target} has no healthy endpoint")


def _use(routed: Routed, taken: Target) -> model.Use:
    if taken is routed.target:
        return model.Use.TARGET
    return model.Use.FALLBACK if taken is routed.fallback else model.Use.CHAIN


def _fallback(asked: Asked, routed: Routed, taken: Target | None) -> model.Fallback | None:
    written = routed.destination.fallback
    if written is None or asked.pinned:
        return None
    target, fallback = routed.target, routed.fallback
    if target is None:
        why = "not used: the target does not exist, which is no matter of health"
    elif fallback is None:
        why = "not used: there is no such host, port or subset"
    elif taken is fallback:
        why = f"used: {target} has no healthy endpoint"
    elif not is_healthy(target, asked.is_ejected):
        why = "not used: it has no healthy endpoint either"
    elif asked.rescue:
        why = f"asked when {target} has failed or has no healthy endpoint"
    elif target.outlier is None:
        why = f"never used by itself: {target} has no outlierDetection, so nobody is ejected there"
    else:
        why = f"used while {target} has no healthy endpoint"
    shown = place(fallback, asked.is_ejected) if fallback else None
    return model.Fallback(_name(asked, written), shown, why)


def _target(asked: Asked, destination: Destination) -> Target | None:
    return find_target(asked.snapshot, destination, asked.request.port)


def _name(asked: Asked, destination: Destination) -> str:
    """The target's name, or the destination as it is written if there is none."""
    if target := _target(asked, destination):
        return str(target)
    port = f":{destination.port}" if destination.port else ""
    return f"{destination.host}{port}" + (f"/{destination.subset}" if destination.subset else "")
