"""How a colleague would say it: the settings of an explanation as clauses. Pure."""

import json
from collections.abc import Iterator

from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import DEFAULT_RETRIES, Fault, HeaderOperations, Retries
from llm_fallback.config.snapshot import (
    IDLE_TIMEOUT_S,
    Algorithm,
    ConnectionPool,
    HashSource,
    LoadBalancing,
    Tls,
)
from llm_fallback.explanation import model
from llm_fallback.outlier import OutlierPolicy, Reason
from llm_fallback.resources.llmfallbackpolicy import Hold
from llm_fallback.wording import counted

_FAILURES = {
    Reason.CONSECUTIVE_5XX: "consecutive 5xx",
    Reason.CONSECUTIVE_GATEWAY: "consecutive gateway errors (502, 503, 504)",
    Reason.CONSECUTIVE_LOCAL_ORIGIN: "consecutive local origin failures",
}


def fault(given: Fault) -> str:
    """What a share of the requests suffers."""
    clauses = []
    if given.delay_percent:
        clauses.append(f"{given.delay_percent:g} % of the requests wait {seconds(given.delay_s)} first")
    if given.abort_percent:
        clauses.append(
            f"{given.abort_percent:g} % are answered with {given.abort_status} instead of being sent"
        )
    return "; ".join(clauses) or "none: their percentages are 0"


def place(given: model.Place) -> str:
    """A target, and how its endpoints are."""
    return f"{given.name}, {_endpoints(given)}"


def tls(given: Tls | None, host: str) -> str:
    """How the connection to a target of a host is secured."""
    if given is None:
        return "in plain text"
    clauses = [f"SNI {given.sni}"]
    if not given.verify:
        clauses.append("certificate not verified")
    elif given.names != (host,):
        clauses.append(f"certificate for {' or '.join(given.names)}")
    if given.verify and given.ca_file:
        clauses.append(f"authorities of {given.ca_file}")
    if given.certificate_file:
        clauses.append(f"client certificate {given.certificate_file}")
    return f"over TLS ({', '.join(clauses)})"


def body(given: model.Body) -> str:
    """What became of the body."""
    if not given.bytes:
        return "no body"
    return f"body of {counted(given.bytes, 'byte')}" + ("" if given.set else ", as it is")


def config(given: model.Sent) -> str:
    """What the provider's configuration has done to the request."""
    written = ["the key"] if given.has_providers_key else []
    written += [f"{name} {json.dumps(value)}" for name, value in given.body.set.items()]
    clauses = [f"{given.config} sets {', '.join(written) or 'nothing'}"]
    clauses += [f"{name} stays as the client says" for name in given.body.kept]
    return "; ".join(clauses)


def limits(told: model.Explanation) -> str:
    """Time and retries of the rule."""
    time = "no timeout" if told.timeout_s is None else f"{seconds(told.timeout_s)} for all attempts together"
    if told.retries is None:
        return f"{time}; no retries: {told.why_no_retries}"
    where = ", at other endpoints of the same target, before the next one" if told.rescue else ""
    return f"{time}; {_retries(told.retries)}{where}"


def rescue(given: RescuePolicy) -> Iterator[str]:
    """Which failures a policy rescues and how, one sentence after another."""
    failures = ", ".join([*sorted(given.failures), *map(str, sorted(given.codes))])
    within = f"{counted(given.attempts, 'attempt')} and {seconds(given.deadline_s)}"
    yield f"{given.name}  {given.source}"
    yield f"from {failures}, within {within} in all"
    if given.chain:
        drawn = ", neighbours with weights in an order that is drawn"
        yield f"in order: target, fallback, chain{drawn if any(link.weight for link in given.chain) else ''}"
    limits = given.limits
    yield (
        f"an attempt has {seconds(limits.response_headers_s)} to its headers, {seconds(limits.first_token_s)}"
        f" to its first token, {seconds(limits.stall_s)} between two of them"
    )
    yield "; ".join(_more_of_rescue(given))


def pool(given: ConnectionPool) -> str:
    """Limits on the connections to a target."""
    maxima = {
        "connections": given.max_connections,
        "pending requests": given.max_pending_requests,
        "requests at once": given.max_requests,
        "retries at once": given.max_retries,
        "requests per connection": given.max_requests_per_connection or None,
    }
    most = ", ".join(f"{number} {what}" for what, number in maxima.items() if number is not None)
    clauses = [f"connects within {seconds(given.connect_timeout_s)}"]
    if given.idle_timeout_s is None:
        clauses.append("idle connections stay for ever")
    elif given.idle_timeout_s != IDLE_TIMEOUT_S:
        clauses.append(f"idle connections stay {seconds(given.idle_timeout_s)}")
    if given.max_connection_duration_s:
        clauses.append(f"connections live {seconds(given.max_connection_duration_s)}")
    return "; ".join([*clauses, f"at most {most}" if most else "no limit on connections or requests"])


def balancing(given: LoadBalancing) -> str:
    """How endpoints are chosen."""
    clauses = [given.algorithm.value]
    policy = given.hash_policy
    if policy and given.algorithm in (Algorithm.RING_HASH, Algorithm.MAGLEV):
        what = (
            policy.source.value if policy.source is HashSource.SOURCE_IP else f"{policy.source} {policy.name}"
        )
        clauses.append(f"by the {what}; at random without it")
    if given.warmup:
        clauses.append(f"new endpoints warm up for {seconds(given.warmup.duration_s)}")
    return ", ".join(clauses)


def ejects(given: OutlierPolicy | None, panic_threshold: int) -> str:
    """When the detector takes an endpoint out of rotation, and for how long."""
    if given is None:
        return "never: there is no outlierDetection"
    local = (Reason.CONSECUTIVE_LOCAL_ORIGIN,) if given.split_local_origin else ()
    reasons = (Reason.CONSECUTIVE_5XX, Reason.CONSECUTIVE_GATEWAY, *local)
    causes = [f"{given.threshold(r)} {_FAILURES[r]}" for r in reasons if given.threshold(r)]
    if not causes:
        return "never: all thresholds are 0"
    clauses = [
        f"after {' or '.join(causes)}",
        f"for {seconds(given.base_ejection_s)} x multiplier, at most {seconds(given.max_ejection_s)}",
        f"sweep every {seconds(given.interval_s)}",
        f"at most {given.max_ejection_percent} % of the endpoints",
    ]
    if given.error_codes is not None:
        clauses.append(f"failures are {', '.join(map(str, sorted(given.error_codes)))}")
    if panic_threshold:
        clauses.append(f"ignored with less than {panic_threshold} % in rotation")
    return "; ".join(clauses)


def operations(given: HeaderOperations) -> Iterator[str]:
    """What happens to headers, in the order in which it happens."""
    if given.remove:
        yield f"removes {', '.join(given.remove)}"
    for name, value in given.set:
        yield f"sets {name}: {value}"
    for name, value in given.add:
        yield f"adds {name}: {value}"


def seconds(number: float) -> str:
    """A time as people say it."""
    return f"{number * 1000:g} ms" if 0 < number < 1 else f"{number:g} s"


def _endpoints(given: model.Place) -> str:
    ejected = sum(endpoint.is_ejected for endpoint in given.endpoints)
    number = len(given.endpoints)
    if not number:
        return "no endpoints"
    what = counted(number, "name" if given.per_address else "endpoint")
    if given.per_address:
        what += ", each address of which is an endpoint"
    if not ejected:
        return f"{what}, in rotation"
    return f"{what}, ejected" if ejected == number else f"{what}, {ejected} of them ejected"


def _retries(given: Retries) -> str:
    conditions = [*sorted(given.retry_on), *map(str, sorted(given.codes))]
    within = (
        "" if given.per_try_timeout_s is None else f", {seconds(given.per_try_timeout_s)} for each attempt"
    )
    number = counted(given.attempts, "retry", "retries")
    backoff = (
        "" if given.backoff_s == DEFAULT_RETRIES.backoff_s else f", back-off from {seconds(given.backoff_s)}"
    )
    tried = "" if given.avoid_tried else ", also at endpoints that have been tried"
    return f"{number} on {', '.join(conditions)}{within}{backoff}{tried}"


def _more_of_rescue(given: RescuePolicy) -> Iterator[str]:
    held = given.hold is Hold.WHOLE_ANSWER
    yield f"answers are held {'whole' if held else 'until their first content'}"
    if given.backoff_s:
        yield f"{seconds(given.backoff_s)} between targets"
    if given.unless_slower_than_s is not None:
        yield f"not from failures that took more than {seconds(given.unless_slower_than_s)}"
    if given.hedging:
        yield f"the next target is also asked after {seconds(given.hedging.delay_s)}"
    if given.max_retry_after_s:
        yield f"Retry-After counts up to {seconds(given.max_retry_after_s)}"
    if given.probation:
        yield "endpoints return on probation"
    if given.slow_start_s:
        yield f"slow start for {seconds(given.slow_start_s)}"
    budget = given.budget
    yield f"rescues at once: {budget.percent:g} % of the active requests, at least {budget.minimum}"
