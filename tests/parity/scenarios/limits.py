"""Limits of the connection pool, and what never counts."""

from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import (
    Ask,
    Begin,
    Burst,
    Fault,
    Pause,
    Release,
    Request,
    Say,
    Scenario,
    Service,
    Step,
)
from tests.parity.scenarios.common import alone, ask, one, outlier, route, several


def _pool(**limits: Any) -> dict[str, Any]:
    http = {name: value for name, value in limits.items() if name != "maxConnections"}
    tcp = {name: value for name, value in limits.items() if name == "maxConnections"}
    return {"connectionPool": {**({"tcp": tcp} if tcp else {}), **({"http": http} if http else {})}}


def _overflow() -> Iterator[Scenario]:
    narrow = _pool(maxConnections=1, http1MaxPendingRequests=1)
    for keep_alive in (False, True):
        name = "overflow-of-a-pool" if keep_alive else "overflow"
        steps = (Begin(3, waiting=1), Release(), Ask(3))
        yield route(name, {}, *steps, policy=narrow, outlier=outlier(1), keep_alive=keep_alive)
    again = {"retries": {"attempts": 2, "retryOn": "5xx,reset,503"}}
    yield route("overflow-is-not-retried", again, Begin(3, waiting=1), Release(), Ask(), policy=narrow)
    yield Scenario(
        name="overflow-is-no-reason-for-the-fallback",
        primary=Service(outlier=outlier(1), policy=narrow),
        fallback=Service(),
        steps=(Begin(4, waiting=1), Release(), Ask(2)),
    )
    failures = (*ask(500), Say(500), Begin(3, waiting=1), Say(200), Release(), *ask(500), Ask())
    yield route("overflow-resets-nothing", {}, *failures, policy=narrow, outlier=outlier(3))
    yield route("pending-are-served-in-turn", {}, Begin(2, waiting=1), Release(), policy=narrow)
    yield route("max-connections-alone", {}, Begin(3, waiting=2), Release(), policy=_pool(maxConnections=1))
    one_request = _pool(http2MaxRequests=1)
    yield route("max-requests", {}, Begin(3), Release(), Ask(), policy=one_request, outlier=outlier(1))
    one_retry = _pool(maxRetries=1)
    retries = {"retries": {"attempts": 1, "retryOn": "503", "backoff": "200ms"}}
    yield route("max-retries", retries, Say(503), Burst(3), *ask(200), policy=one_retry, outlier=outlier(9))
    yield route(
        "one-request-per-connection", {}, Ask(3), policy=_pool(maxRequestsPerConnection=1), keep_alive=True
    )
    queue = _pool(maxConnections=1)
    ejected = (Begin(2, waiting=1), Say(500), Release(), Ask())
    yield route("pending-outlive-the-ejection", {}, *ejected, policy=queue, outlier=outlier(1))
    reset = (Begin(3, waiting=2), Say((Fault.RESET, 200)), Release(), Ask())
    yield route("pending-outlive-a-reset", {}, *reset, policy=queue, outlier=outlier(9))
    yield route("pending-and-timeout", {"timeout": "300ms"}, *_timed_out(), policy=queue, outlier=outlier(9))
    two = {**queue, "loadBalancer": {"simple": "ROUND_ROBIN"}}
    yield several("max-connections-of-two", 2, outlier(0), Begin(2), Release(), Ask(2), policy=two)
    yield several("pending-of-two", 2, outlier(0), Begin(4, waiting=2), Release(), Ask(2), policy=two)
    requests = {**_pool(http2MaxRequests=3), "loadBalancer": {"simple": "ROUND_ROBIN"}}
    yield several("max-requests-of-two", 2, outlier(1), Begin(5), Release(), Ask(2), policy=requests)
    get = Request(method="GET")
    yield route("overflow-get", {}, Begin(3, get, waiting=1), Release(), policy=narrow)


def _timed_out() -> tuple[Step, ...]:
    return (Begin(2, waiting=1), Pause(0.5), Release(), Ask())


def _faults() -> Iterator[Scenario]:
    always = {"percentage": {"value": 100}}
    abort = {"fault": {"abort": {"httpStatus": 503, **always}}}
    yield route("fault-abort-never-counts", abort, Ask(4), outlier=outlier(1))
    yield one("fault-abort-is-no-reason-for-the-fallback", outlier(1), Ask(3), route=abort)
    yield route("fault-abort-418", {"fault": {"abort": {"httpStatus": 418, **always}}}, Ask())
    yield route(
        "fault-abort-never", {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 0}}}}, Ask(5)
    )
    delay = {"fault": {"delay": {"fixedDelay": "400ms", **always}}}
    yield route("fault-delay", delay, *ask(200, 500), Ask(), outlier=outlier(1))
    yield route(
        "fault-delay-and-abort", {"fault": {**delay["fault"], **abort["fault"]}}, Ask(), outlier=outlier(1)
    )
    yield route("fault-delay-beside-timeout", {**delay, "timeout": "200ms"}, Ask(), outlier=outlier(1))
    never = {"fault": {"delay": {"fixedDelay": "5s", "percentage": {"value": 0}}}}
    yield route("fault-delay-never", never, Ask(2))
    retried = {**abort, "retries": {"attempts": 2, "retryOn": "5xx"}}
    yield route("fault-abort-is-not-retried", retried, Ask())
    ejected = {"fault": {"delay": {"fixedDelay": "100ms", **always}}}
    yield one("fault-delay-with-fallback", outlier(1), *ask(500), Ask(2), route=ejected)


def _direct() -> Iterator[Scenario]:
    said = {"directResponse": {"status": 503, "body": {"string": "later"}}}
    steps = (Ask(2), Ask(1, Request(method="GET")), Ask(1, Request(method="HEAD")))
    yield Scenario(name="direct-response-503", primary=Service(outlier=outlier(1)), http=(said,), steps=steps)
    empty = ({"directResponse": {"status": 418}},)
    yield Scenario(name="direct-response-without-body", primary=Service(), http=empty, steps=steps)
    changed = (
        {
            **said,
            "headers": {"response": {"set": {"x-said": "by the mesh"}, "remove": ["server"]}},
        },
    )
    yield Scenario(name="direct-response-with-headers", primary=Service(), http=changed, steps=steps)


def _codes() -> Iterator[Scenario]:
    """`outlierDetectionHttpErrorCodes`: what is listed is an error, and nothing else."""

    def listed(*codes: int, threshold: int = 2, **more: Any) -> dict[str, Any]:
        return outlier(threshold, outlierDetectionHttpErrorCodes=list(codes), **more)

    yield one("codes-429", listed(429), *ask(429, 429), Ask())
    yield one("codes-429-makes-500-a-success", listed(429), *ask(500, 503, 500, 429, 500, 429, 200))
    yield one("codes-429-reset-by-500", listed(429), *ask(429, 500, 429, 503, 429), *ask(429), Ask())
    yield one("codes-500", listed(500), *ask(429, 503, 500, 200, 500, 500), Ask())
    yield one("codes-mixed", listed(429, 500, 503), *ask(429, 503), Ask())
    yield one("codes-404", listed(404, threshold=1), *ask(500, 404), Ask())
    yield one("codes-and-refusals", listed(429, threshold=3), *ask(Fault.REFUSE), Ask())
    yield one("codes-and-resets", listed(429), *ask(Fault.RESET, 429), Ask())
    gateway = listed(429, threshold=5, consecutiveGatewayErrors=2)
    yield one("codes-429-and-gateway", gateway, *ask(429, 429, 429, 429, 200))
    gateway = listed(503, threshold=5, consecutiveGatewayErrors=2)
    yield one("codes-503-and-gateway", gateway, *ask(503, 503), Ask())
    gateway = listed(500, threshold=5, consecutiveGatewayErrors=2)
    yield one("codes-500-and-gateway", gateway, *ask(503, 503, 500, 500, 500, 500, 500), Ask())
    both = listed(429, threshold=2, splitExternalLocalOriginErrors=True, consecutiveLocalOriginFailures=2)
    yield one("codes-split", both, *ask(429, Fault.RESET, 500, Fault.RESET, 429), *ask(429), Ask())
    yield alone("codes-cut", listed(200, threshold=2), *ask(Fault.CUT), Ask())


GROUPS = (_overflow, _faults, _direct, _codes)
