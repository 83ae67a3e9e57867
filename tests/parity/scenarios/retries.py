"""Retries: the rows of `mesh-semantics.md` 7, and `retries` of 4.3."""

from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import Ask, Behaviour, Fault, Reply, Request, Say, Scenario, Service, Step
from tests.parity.scenarios.common import alone, ask, grpc, one, outlier, route, several, split

_WORDS = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
)
_GRPC_WORDS = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
_OUTCOMES: tuple[Behaviour, ...] = (
    *(200, 409, 429, 500, 502, 503, 504, 529),
    *(Fault.RESET, Fault.CLOSE, Fault.GARBAGE, Fault.HANG_UP, Fault.PARTIAL_HEAD),
    Reply(503, (("x-envoy-ratelimited", "true"),)),
    Reply(429, (("x-envoy-ratelimited", "true"),)),
    Reply(503, (("retry-after", "5"),)),
)


def retries(retry_on: str | None = None, attempts: int = 2, **more: Any) -> dict[str, Any]:
    """What a route says about retries."""
    return {"retries": {"attempts": attempts, **({"retryOn": retry_on} if retry_on else {}), **more}}


def _twice(behaviours: tuple[Behaviour, ...]) -> tuple[Step, ...]:
    """Each behaviour for two attempts, and then 200."""
    return tuple(step for b in behaviours for step in (Say((b, b, 200)), Ask()))


def _words() -> Iterator[Scenario]:
    for word in _WORDS:
        steps = (*_twice(_OUTCOMES), Say(Fault.REFUSE), Ask())
        yield route(f"retry-on-{word}", retries(word), *steps)
    for word in _GRPC_WORDS:
        statuses = _twice(tuple(grpc(number) for number in (0, 1, 4, 8, 13, 14)))
        yield route(f"retry-on-{word}", retries(word), *statuses)
    yield route("retry-by-default", {}, *_twice(_OUTCOMES))
    yield route(
        "retry-without-words", retries(attempts=1), *_twice((503, grpc(14))), Say(Fault.REFUSE), Ask()
    )
    yield route("retry-on-429", retries("429"), *_twice((429, 503, Fault.RESET)))
    yield route("retry-on-409-and-504", retries("409,504"), *_twice((409, 504, 500, 429)))
    yield route("retry-on-503-and-reset", retries("reset,503"), *_twice((503, 500, Fault.RESET)))
    yield route("retry-on-gateway-error-and-429", retries("gateway-error,429"), *_twice((429, 503, 500)))


def _attempts() -> Iterator[Scenario]:
    for attempts in (0, 1, 3):
        policy = {"attempts": attempts} if attempts == 0 else {"attempts": attempts, "retryOn": "5xx"}
        settings = {"retries": policy}
        yield route(f"attempts-{attempts}", settings, *ask(503, 500, Fault.RESET, Fault.REFUSE, 200))
    yield route("attempts-0-refused", retries(attempts=0), *ask(Fault.REFUSE), outlier=outlier(1))
    # The last answer reaches the client as it is, and every attempt counts.
    yield route("retries-used-up", retries("5xx", 3), *ask(500), Ask(), outlier=outlier(9))
    yield route("every-attempt-counts", retries("5xx", 2), *ask(500), Ask(), outlier=outlier(3))
    yield route("retry-of-a-host-just-ejected", retries("5xx", 3), *ask(500), Ask(), outlier=outlier(2))
    yield route("retry-success-resets", retries("5xx", 1), *_once(500) * 3, Ask(), outlier=outlier(2))
    gateway = outlier(0, consecutiveGatewayErrors=2)
    yield route(
        "retry-gateway-counter", retries("5xx"), Say((503, 500, 503, 503)), Ask(), Ask(), outlier=gateway
    )
    yield route("retry-split-local", retries("reset"), *ask(Fault.RESET), Ask(), outlier=split(3, 2))
    for size in (1_000_000, 1_048_576, 1_048_577, 1_100_000):
        yield route(f"retry-body-{size}", retries("503"), Say((503, 200)), Ask(), body_size=size)
    for size in (1_000_000, 1_100_000):
        yield route(
            f"retry-refused-body-{size}", retries("connect-failure"), *ask(Fault.REFUSE), body_size=size
        )
    get = Request(method="GET")
    yield route("retry-get", retries("5xx"), Say((503, 503, 200)), Ask(1, get))
    yield route("retry-cut-is-too-late", retries("5xx,reset"), Say((Fault.CUT, 200)), Ask(2))
    yield route("retry-after-100", retries("5xx"), Say((Fault.CONTINUE_500, 200)), Ask(2))
    yield route("retry-after-103", retries("5xx"), Say((Fault.HINTS_200, 200)), Ask(2))


def _once(behaviour: Behaviour) -> tuple[Step, ...]:
    return (Say((behaviour, 200)), Ask())


def _endpoints() -> Iterator[Scenario]:
    bad = Say(503, endpoint=0)
    for count in (2, 3):
        name = f"retry-503-on-other-of-{count}"
        yield several(name, count, outlier(0), bad, Ask(12), free_choice=True, route=retries("503"))
    settings = retries("503", 1, retryIgnorePreviousHosts=False)
    yield several(
        "retry-may-meet-the-same-host",
        *(2, outlier(0), bad, Ask(30)),
        free_choice=True,
        free_counts=True,
        route=settings,
    )
    yield several("retry-all-three-fail", 3, outlier(0), Say(503), Ask(3), route=retries("503"))
    two = Service(endpoints=2, outlier=outlier(1))
    yield Scenario(
        name="retry-then-fallback",
        primary=two,
        fallback=Service(),
        route=retries("5xx"),
        steps=(Say(500), Ask(), Ask(2)),
    )
    yield Scenario(
        name="fallback-is-retried-too",
        primary=Service(outlier=outlier(1)),
        fallback=Service(outlier=outlier(9)),
        route=retries("5xx"),
        steps=(*ask(500), Say((503, 503, 200), "fallback"), Ask(2)),
    )


def _asked_by_clients() -> Iterator[Scenario]:
    """What Envoy makes of its own headers in a client's request."""
    for name, headers in {
        "retry-on": (("x-envoy-retry-on", "5xx"),),
        "max-retries": (("x-envoy-max-retries", "1"),),
        "retry-on-and-max": (("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "3")),
        "retriable-status-codes": (
            ("x-envoy-retry-on", "retriable-status-codes"),
            ("x-envoy-retriable-status-codes", "503"),
        ),
        "attempt-count": (("x-envoy-attempt-count", "7"),),
        "expected-timeout": (("x-envoy-expected-rq-timeout-ms", "12"),),
    }.items():
        asked = Ask(1, Request(headers=headers))
        steps = (Say((503, 503, 503, 503, 200)), asked, Say((Fault.RESET, Fault.RESET, 200)), asked)
        yield route(f"client-asks-{name}", {}, *steps, Say(Fault.REFUSE), asked)
    for name, header in {
        "timeout": ("x-envoy-upstream-rq-timeout-ms", "300"),
        "per-try-timeout": ("x-envoy-upstream-rq-per-try-timeout-ms", "300"),
    }.items():
        asked = Ask(1, Request(headers=(header,)))
        settings = {"timeout": "900ms"}
        yield route(f"client-asks-{name}", settings, *(Say(Fault.SILENT), asked, Say(200), asked))


def _others() -> Iterator[Scenario]:
    yield alone(
        "retry-none-without-connection", outlier(2), *ask(Fault.REFUSE), Ask(), route=retries(attempts=1)
    )
    yield one("retry-with-fallback-stays", outlier(2), *ask(503), Ask(), route=retries("503", 1))
    slow = retries("503", 1, backoff="1ms")
    yield route("retry-with-backoff", slow, Say((503, 200)), Ask(3))


GROUPS = (_words, _attempts, _endpoints, _asked_by_clients, _others)
