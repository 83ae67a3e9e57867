"""One request through all decisions, in the proxy's order: rule, target, fault, preflight, attempt."""

from dataclasses import replace

from llm_fallback import cors, faults, local_replies, redirects
from llm_fallback.config.routes import Fault, Route
from llm_fallback.config.snapshot import Snapshot, TargetKey
from llm_fallback.explanation import model, redacted
from llm_fallback.explanation.destinations import Asked, destinations, mirrors
from llm_fallback.explanation.draws import HighestDraw
from llm_fallback.explanation.places import IsEjected
from llm_fallback.local_replies import LocalReply
from llm_fallback.matching import RequestFacts, explain_mismatch
from llm_fallback.messages import OriginalRequest, is_well_formed
from llm_fallback.retry import MAX_REPLAY_BYTES
from llm_fallback.routing import Matched, find_route


def explain(
    snapshot: Snapshot, request: OriginalRequest, *, is_ejected: IsEjected, pinned: TargetKey | None = None
) -> model.Explanation:
    """What would happen to the request.

    `is_ejected` tells the health of a target's endpoints, as `Health.is_ejected` does. The endpoints are
    those of the configuration: nothing is resolved. `pinned` is where a person has pinned the host to.
    """
    told = model.Explanation(redacted.request(request), None)
    virtual_host = snapshot.virtual_host(request.host)
    if virtual_host is None:
        return told
    told = replace(told, rules=virtual_host.name)
    if not is_well_formed(request):
        why = "its method, path or headers hold what HTTP/1 cannot carry"
        return replace(told, answer=redacted.answer(local_replies.BAD_REQUEST, why))
    facts, routes = request.facts, virtual_host.routes
    matched = find_route(snapshot, request.host, facts)
    place = routes.index(matched.route) if matched else len(routes)
    told = replace(told, rejected=tuple(_rejected(route, facts) for route in routes[:place]))
    if matched is None:
        return replace(told, answer=redacted.answer(local_replies.NO_ROUTE, "no rule matches"))
    told = replace(told, rule=_rule(matched, number=place + 1, of=len(routes)))
    return _under_rule(told, Asked(snapshot, request, matched, is_ejected, pinned), facts)


def _under_rule(told: model.Explanation, asked: Asked, facts: RequestFacts) -> model.Explanation:
    """The rest of the story for a request that falls under a rule."""
    route, request = asked.matched.route, asked.request
    if not isinstance(route.action, tuple):
        return replace(told, answer=redacted.answer(redirects.reply(route.action, facts), "the rule says so"))
    told = replace(told, fault=route.fault)
    if aborted := _certain_abort(route.fault):
        return replace(told, answer=redacted.answer(aborted, "the rule's fault hits every request"))
    if route.cors:
        granted = cors.preflight(route.cors, facts)
        if granted is not None:
            reply = LocalReply(200, headers=granted)
            return replace(told, answer=redacted.answer(reply, "a preflight request, which CORS answers"))
        told = replace(told, cors_headers=cors.response_headers(route.cors, facts, ()))
    why_no_retries = _why_no_retries(route, len(request.body))
    return replace(
        told,
        destinations=destinations(asked),
        timeout_s=route.timeout_s,
        retries=None if why_no_retries else route.retries,
        why_no_retries=why_no_retries,
        rescue=asked.rescue,
        why_no_rescue=_why_no_rescue(asked),
        mirrors=mirrors(asked),
    )


def _rejected(route: Route, facts: RequestFacts) -> model.Rejected:
    mismatches = (model.Mismatch(m.name, m.source, explain_mismatch(m, facts)) for m in route.matches)
    return model.Rejected(route.name, route.source, tuple(mismatches))


def _rule(matched: Matched, *, number: int, of: int) -> model.Rule:
    route, match = matched.route, matched.match
    return model.Rule(
        name=route.name,
        source=route.source,
        number=number,
        of=of,
        match=match.source if match else None,
        match_name=match.name if match else "",
        request_headers=redacted.operations(route.headers.request),
        response_headers=redacted.operations(route.headers.response),
    )


def _certain_abort(fault: Fault | None) -> LocalReply | None:
    """The answer of a fault that no request escapes."""
    return faults.decide(fault, HighestDraw()).reply()


def _why_no_rescue(asked: Asked) -> str | None:
    policy = asked.matched.route.rescue
    if policy and asked.pinned:
        return f"the pin takes the place of {policy.source}"
    if policy and len(asked.request.body) > policy.max_request_bytes:
        return f"the body is larger than the {policy.max_request_bytes} bytes of {policy.source}"
    return None


def _why_no_retries(route: Route, body_bytes: int) -> str | None:
    if not route.retries.attempts:
        return "the rule wants none"
    if body_bytes > MAX_REPLAY_BYTES:
        return f"the body is larger than {MAX_REPLAY_BYTES} bytes"
    return None
