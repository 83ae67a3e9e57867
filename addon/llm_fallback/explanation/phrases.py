"""How a colleague would say it: the settings of an explanation as clauses. Pure."""

import json
from collections.abc import Iterator

from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import Fault, HeaderOperations, Retries
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
    """A target, what describes it, and how its endpoints are."""
    described = f" ({', '.join(given.resources)})" if given.resources else ""
    return f"{given.name}{described}, {_endpoints(given)}"


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
    written = " and ".join(f"{name} {json.dumps(value)}" for name, value in given.set.items())
    clauses = [f"body of {counted(given.bytes, 'byte')}", *([f"{written} set"] if written else [])]
    clauses += [f"{name} as the client says" for name in given.kept]
    return ", ".join(clauses if len(clauses) > 1 else [f"{clauses[0]}, as it is"])


def limits(told: model.Explanation) -> str:
    """Time and retries of the rule."""
    time = "no timeout" if told.timeout_s is None else f"{seconds(told.timeout_s)} for all attempts together"
    return f"{time}; {_retries(told.retries) if told.retries else f'no retries: {told.why_no_retries}'}"


def rescue(given: RescuePolicy) -> str:
    """Which failures a policy rescues, and within what."""
    failures = ", ".join([*sorted(given.failures), *map(str, sorted(given.codes))])
    within = f"{counted(given.attempts, 'attempt')} and {seconds(given.deadline_s)}"
    return f"{given.name}  {given.source}: {failures}, within {within} in all"


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


def counted(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def seconds(number: float) -> str:
    """A time as people say it."""
    return f"{number * 1000:g} ms" if 0 < number < 1 else f"{number:g} s"


def _endpoints(given: model.Place) -> str:
    ejected = sum(endpoint.is_ejected for endpoint in given.endpoints)
    number = len(given.endpoints)
    if not number:
        return "no endpoints"
    what = counted(number, "name" if given.is_resolved else "endpoint")
    if given.is_resolved:
        what += ", each address of which is an endpoint"
    if not ejected:
        return f"{what}, in rotation"
    return f"{what}, ejected" if ejected == number else f"{what}, {ejected} of them ejected"


def _retries(given: Retries) -> str:
    conditions = [*sorted(given.retry_on), *map(str, sorted(given.codes))]
    within = (
        "" if given.per_try_timeout_s is None else f", {seconds(given.per_try_timeout_s)} for each attempt"
    )
    number = "1 retry" if given.attempts == 1 else f"{given.attempts} retries"
    return f"{number} on {', '.join(conditions)}{within}"
