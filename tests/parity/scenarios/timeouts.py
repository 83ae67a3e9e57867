"""Timeouts: of the route, of an attempt, of connecting."""

from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import Ask, Begin, Burst, Fault, HangUp, Pause, Release, Say, Scenario
from tests.parity.scenarios.common import ask, one, outlier, route, several, split

SHORT = "300ms"


def _retries(retry_on: str, attempts: int, **more: Any) -> dict[str, Any]:
    return {"retries": {"attempts": attempts, "retryOn": retry_on, **more}}


def _route_timeouts() -> Iterator[Scenario]:
    settings = {"timeout": SHORT}
    silent = ask(Fault.SILENT)
    yield route("timeout-before-headers", settings, *silent, *ask(200))
    yield route("timeout-ejects", settings, *silent, Ask(), outlier=outlier(1))
    yield route("timeout-counts", settings, *silent, *ask(500, Fault.SILENT), Ask(), outlier=outlier(3))
    gateway = outlier(0, consecutiveGatewayErrors=2)
    yield route("timeout-is-a-gateway-error", settings, *silent, *silent, Ask(), outlier=gateway)
    yield route("timeout-split", settings, *silent, *silent, *ask(200), Ask(), outlier=split(1, 1))
    yield route("timeout-split-counts-apart", settings, *silent, *silent, *ask(200), outlier=split(1, 5))
    yield route("timeout-after-headers", settings, *ask(Fault.STALL, Fault.STALL, 200), outlier=outlier(1))
    yield route("timeout-after-headers-split", settings, *ask(Fault.STALL, 200), outlier=split(1, 1))
    yield route("timeout-is-not-retried", settings | _retries("5xx,reset", 2), *silent, *ask(200))
    yield route(
        "timeout-while-backing-off",
        settings | _retries("503", 3, backoff="60s"),
        *ask(503),
        *ask(200),
        outlier=outlier(2),
    )
    several_tries = {"timeout": "450ms"} | _retries("reset,5xx", 5, perTryTimeout=SHORT)
    yield route("timeout-spans-tries", several_tries, *silent, *ask(200), outlier=outlier(9))
    yield route("timeout-while-connecting", {"timeout": SHORT}, *ask(Fault.BLACKHOLE), outlier=outlier(1))
    yield one("timeout-with-fallback", outlier(1), *silent, Ask(2), route=settings)


def _per_try() -> Iterator[Scenario]:
    silent = ask(Fault.SILENT)
    for word in ("connect-failure", "5xx", "gateway-error", "reset", "504", "reset-before-request"):
        settings = _retries(word, 1, perTryTimeout=SHORT)
        yield route(f"per-try-timeout-{word}", settings, Say((Fault.SILENT, 200)), Ask(2))
    used_up = _retries("5xx", 2, perTryTimeout="200ms")
    yield route("per-try-timeouts-used-up", used_up, *silent, *ask(200))
    yield route("per-try-timeouts-count", used_up, *silent, Ask(), outlier=outlier(3))
    yield route("per-try-timeout-ejects", used_up, *silent, Ask(), outlier=outlier(1))
    yield route("per-try-timeouts-split", used_up, *silent, Ask(), outlier=split(1, 2))
    stalls = ask(Fault.STALL, 200)
    yield route("per-try-timeout-after-headers", {**used_up, "timeout": "600ms"}, *stalls, outlier=outlier(1))
    pool = {"connectionPool": {"tcp": {"connectTimeout": "500ms"}}}
    once = _retries("5xx", 1, perTryTimeout="200ms")
    hole = (*ask(Fault.BLACKHOLE), *ask(200))
    yield route("per-try-timeout-while-connecting", once, *hole, outlier=outlier(9), policy=pool)
    yield several(
        "per-try-timeout-goes-elsewhere",
        *(2, outlier(0), Say(Fault.SILENT, endpoint=0), Ask(6)),
        free_choice=True,
        route=used_up,
    )


def _connecting() -> Iterator[Scenario]:
    pool = {"connectionPool": {"tcp": {"connectTimeout": "200ms"}}}
    hole = ask(Fault.BLACKHOLE)
    none = {"retries": {"attempts": 0}}
    yield route("connect-timeout", none, *hole, *ask(200), policy=pool)
    yield route("connect-timeout-is-retried", {}, *hole, *ask(200), policy=pool)
    yield route("connect-timeout-ejects", {}, *hole, Ask(), policy=pool, outlier=outlier(1))
    yield route("connect-timeout-counts-503", none, *hole, *hole, Ask(), policy=pool, outlier=outlier(2))
    gateway = outlier(0, consecutiveGatewayErrors=3)
    yield route("connect-timeout-is-a-gateway-error", {}, *hole, Ask(), policy=pool, outlier=gateway)
    yield route("connect-timeout-split", {}, *hole, Ask(), policy=pool, outlier=split(1, 3))


def _hang_ups() -> Iterator[Scenario]:
    leave = (Begin(), HangUp(), Release())
    yield route("hang-up-before-headers", {}, *leave, *leave, *ask(200), outlier=outlier(1))
    yield route("hang-up-split", {}, *leave, *ask(200), outlier=split(1, 1))
    # A client that leaves neither counts nor resets.
    yield route("hang-up-resets-nothing", {}, *ask(500), *leave, *ask(500), Ask(), outlier=outlier(2))
    yield one("hang-up-keeps-the-fallback", outlier(1), *ask(500), *leave, Ask(2))
    backoff = _retries("503", 3, backoff="60s")
    # The kernel takes up to a second to try again, and Envoy's connection waits for that.
    connecting = (Say(Fault.BLACKHOLE), Begin(1, waiting=1), HangUp(), Say(200), Pause(1.2), Ask())
    yield route("hang-up-while-connecting", {}, *connecting, outlier=outlier(1))
    body = (Say(Fault.STALL), Begin(held=False), Pause(0.1), HangUp(), *ask(200))
    yield route("hang-up-in-the-body", {}, *body, outlier=outlier(1))
    yield route("hang-up-in-the-body-split", {}, *body, outlier=split(1, 1))
    waiting = (Say(503), Begin(held=False), Pause(0.1), HangUp(), Pause(0.1), *ask(200))
    yield route("hang-up-while-backing-off", backoff, *waiting, outlier=outlier(2))
    yield route(
        "hang-up-of-many", backoff, Begin(4), HangUp(), Pause(0.1), Release(), Ask(), outlier=outlier(1)
    )


def _at_once() -> Iterator[Scenario]:
    held = (Begin(3), Pause(0.5), Release())
    limited = {"timeout": SHORT}
    yield route("timeouts-at-once", limited, *held, *ask(200), outlier=outlier(4))
    yield route("timeouts-at-once-eject", limited, *held, Ask(), outlier=outlier(3))
    late = (Begin(), *ask(500), Pause(0.5), Release(), Ask())
    yield one("timeout-after-the-ejection", outlier(1), *late, route=limited)
    tries = _retries("5xx", 1, perTryTimeout=SHORT)
    yield route("per-try-timeouts-at-once", tries, Begin(2), Pause(0.2), Say(200), Pause(0.6), Release())
    script = Say((503, 503, 503, 200))
    yield route("retries-at-once", _retries("503", 3), script, Burst(3), outlier=outlier(9))
    yield route("retries-at-once-eject", _retries("503", 1), Say(503), Burst(3), Ask(), outlier=outlier(3))
    yield one(
        "retries-at-once-with-fallback", outlier(2), Say(503), Burst(3), Ask(2), route=_retries("503", 1)
    )
    refused = (Say(Fault.REFUSE), Begin(3), Release(), Ask())
    yield route("refusals-at-once", {}, *refused, outlier=outlier(9))


GROUPS = (_route_timeouts, _per_try, _connecting, _hang_ups, _at_once)
