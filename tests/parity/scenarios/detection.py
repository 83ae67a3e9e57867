"""Outlier detection: the rows of `mesh-semantics.md` 5.4 to 6."""

from collections.abc import Iterator

from tests.parity.scenario import (
    Ask,
    AwaitReturn,
    Begin,
    Burst,
    Fault,
    Pause,
    Release,
    Say,
    Scenario,
    Service,
)
from tests.parity.scenarios.common import BASE, GROWING, alone, ask, grpc, one, outlier, several, split


def _tutorial() -> Iterator[Scenario]:
    settings = outlier(1, minHealthPercent=0, baseEjectionTime=BASE)
    yield one("tutorial", settings, *ask(Fault.REFUSE), Ask(2), Say(200), AwaitReturn(), Ask(2), llm=True)
    yield one("tutorial-500", settings, *ask(500), Ask(2), Say(200), AwaitReturn(), Ask(2), llm=True)
    yield one("tutorial-still-down", settings, *ask(Fault.REFUSE), Ask(), AwaitReturn(), Ask(2), llm=True)


def _thresholds() -> Iterator[Scenario]:
    for threshold in (1, 3, 5):
        fails = (500,) * (threshold - 1)
        yield one(f"threshold-{threshold}", outlier(threshold), *ask(*fails), *ask(500), Ask(2))
    yield one("threshold-unset-is-5", outlier(None), *ask(500, 500, 500, 500), *ask(500), Ask())
    yield one("threshold-0-is-off", outlier(0), *ask(*(500,) * 7))
    yield one(
        "a-success-starts-anew", outlier(3), *ask(500, 500, 200, 500, 500, 200), *ask(500, 500, 500), Ask()
    )
    for status in (200, 204, 301, 404, 429):
        yield one(f"reset-by-{status}", outlier(2), *ask(500, status, 500, status), *ask(500, 500), Ask())
    for status in (501, 529, 599):
        yield one(f"status-{status}-counts", outlier(2), *ask(status, status), Ask())
    yield one("429-never-counts", outlier(1), *ask(*(429,) * 4))
    yield one("no-outlier-detection", None, *ask(500, 503, Fault.REFUSE, Fault.REFUSE, 200))
    yield one("never-a-lone-host-by-default", outlier(1, maxEjectionPercent=0), *ask(500, Fault.REFUSE, 500))


def _gateway() -> Iterator[Scenario]:
    for status in (502, 503, 504):
        yield one(f"gateway-{status}", outlier(5, consecutiveGatewayErrors=2), *ask(status, status), Ask())
    mixed = outlier(5, consecutiveGatewayErrors=3)
    yield one("gateway-reset-by-500", mixed, *ask(503, 503, 500, 503), *ask(503), Ask())
    yield one("gateway-only", outlier(0, consecutiveGatewayErrors=2), *ask(500, 500, 500, 503, 503), Ask())
    yield one("gateway-unset-is-off", outlier(0), *ask(503, 503, 503, 503, 503, 503))
    yield one("gateway-equal-to-5xx", outlier(2, consecutiveGatewayErrors=2), *ask(503, 503), Ask())
    yield one("gateway-above-5xx", outlier(2, consecutiveGatewayErrors=4), *ask(503, 503), Ask())
    refused = outlier(0, consecutiveGatewayErrors=3)
    yield one("gateway-counts-refusals", refused, *ask(Fault.REFUSE), Ask())
    yield one("gateway-counts-resets", refused, *ask(Fault.RESET, Fault.CLOSE, Fault.CLOSE), Ask())
    # What the ejection leaves of the other counter is gone with the return.
    back = outlier(3, consecutiveGatewayErrors=2, baseEjectionTime=BASE)
    yield one(
        "gateway-return-clears-all", back, *ask(503, 503), AwaitReturn(), *ask(500, 500), *ask(500), Ask()
    )
    # The gateway trigger, which the percentage forbids, resets the gateway counter only.
    barred = outlier(3, consecutiveGatewayErrors=2, maxEjectionPercent=50)
    yield one("gateway-barred-then-5xx", barred, *ask(503, 503, 503, 503, 200))


def _local_origin() -> Iterator[Scenario]:
    for threshold in (1, 2, 3, 4, 5, 6):
        yield one(f"refused-threshold-{threshold}", outlier(threshold), *ask(Fault.REFUSE), Ask(2))
    for fault in (Fault.CLOSE, Fault.RESET, Fault.GARBAGE):
        yield one(f"{fault}-threshold-1", outlier(1), *ask(fault), Ask())
        yield one(f"{fault}-threshold-3", outlier(3), *ask(fault, fault, 200, fault, fault, fault), Ask())
    yield alone("refused-without-fallback", outlier(2), *ask(Fault.REFUSE), Ask(2))
    yield one("mixed-origins-count-together", outlier(3), *ask(500, Fault.RESET, 503), Ask())
    yield one("cut-threshold-1", outlier(1), *ask(Fault.CUT), Ask())
    yield one("cut-threshold-2", outlier(2), *ask(Fault.CUT, Fault.CUT, Fault.CUT, 500), Ask())
    yield one("cut-chunked", outlier(1), *ask(Fault.CUT_CHUNKED), Ask())
    yield one("cut-by-reset", outlier(1), *ask(Fault.CUT_RESET), Ask())
    yield one("cut-500-counts-twice", outlier(2), *ask(Fault.CUT_500), Ask())
    yield one("cut-then-500", outlier(2), *ask(Fault.CUT, 500), Ask())


def _split() -> Iterator[Scenario]:
    yield one("split-refused", split(1, 3), *ask(Fault.REFUSE), Ask())
    yield one("split-refused-4", split(1, 4), *ask(Fault.REFUSE), Ask(), Ask())
    yield one("split-unset-is-5", split(1, None), *ask(Fault.REFUSE), *ask(Fault.REFUSE), Ask())
    yield one("split-0-is-5", split(1, 0), *ask(Fault.REFUSE), *ask(Fault.REFUSE), Ask())
    yield one("split-500-counts-apart", split(2, 5), *ask(500, 500), Ask())
    yield one(
        "split-connect-resets", split(5, 4), *ask(Fault.REFUSE, 500, Fault.REFUSE, 200, Fault.REFUSE), Ask()
    )
    # Each of these connects first, which is a success of local origin.
    for fault in (Fault.CLOSE, Fault.RESET, Fault.GARBAGE, Fault.CUT):
        yield one(f"split-{fault}", split(1, 2), *ask(fault, fault), Ask(2))
        yield one(f"split-{fault}-local-1", split(3, 1), *ask(fault), Ask(2))
    yield one("split-refused-keeps-5xx", split(3, 9), *ask(500, 500, Fault.REFUSE, 500), Ask())
    gateway = split(0, 9, consecutiveGatewayErrors=2)
    yield one("split-refused-is-no-gateway-error", gateway, *ask(Fault.REFUSE, 503, Fault.RESET, 503), Ask())


def _percentage() -> Iterator[Scenario]:
    for count, percent in ((1, 10), (1, 99), (1, 100), (2, 49), (2, 50), (3, 33), (3, 34), (3, 50), (3, 67)):
        settings = outlier(1, maxEjectionPercent=percent)
        yield several(f"percent-{percent}-of-{count}", count, settings, Say(500), Ask(6))
    yield several("percent-10-of-10", 10, outlier(1, maxEjectionPercent=10), Say(500), Ask(8))
    yield several("percent-50-of-10", 10, outlier(1, maxEjectionPercent=50), Say(500), Ask(12))
    yield several("percent-unset-of-10", 10, outlier(1) | {"maxEjectionPercent": 0}, Say(500), Ask(4))
    # Barred at its third failure, the counter starts again: 1 at the fourth, and 3 two more after the return.
    barred = outlier(3, maxEjectionPercent=50, baseEjectionTime="4s")
    yield several(
        "barred-counts-anew",
        2,
        barred,
        *(Say(500, endpoint=0), Ask(20), Say(500), Ask(4), Say(200, endpoint=0), AwaitReturn(), Ask(20)),
        free_choice=True,
    )


def _times() -> Iterator[Scenario]:
    down = (*ask(500), AwaitReturn())
    yield one("growth", GROWING, *down, *down, *down, *ask(200))
    yield one("growth-refused", GROWING, Say(Fault.REFUSE), *(Ask(), AwaitReturn()) * 3, *ask(200))
    yield one("decay", GROWING, *down, *down, Say(200), Pause(1.8), Ask(), *down, *ask(200))
    slow = outlier(1, baseEjectionTime=BASE, interval="1s")
    yield one("return-on-sweep", slow, *down, *ask(200), *down, *ask(200))
    yield one("base-below-interval", outlier(1, baseEjectionTime="10ms", interval="500ms"), *down, *down)
    three = outlier(3, baseEjectionTime=BASE)
    again = (*ask(500, 500, 200), Pause(0.4), *ask(500, 500, 500), AwaitReturn(), Ask())
    yield one("threshold-after-return", three, *ask(500, 500, 500), AwaitReturn(), *again)


def _concurrency() -> Iterator[Scenario]:
    settings = outlier(1, baseEjectionTime=BASE)
    yield one(
        "burst-is-one-ejection", GROWING, Say(500), Burst(5), Ask(), AwaitReturn(), *ask(500), AwaitReturn()
    )
    yield one("burst-threshold-3", outlier(3), Say(500), Burst(5), Ask())
    yield one("burst-of-resets", outlier(3), Say(Fault.RESET), Burst(4), Ask())
    yield one("burst-below-threshold", outlier(5), Say(500), Burst(4), *ask(200), Burst(4), *ask(500), Ask())
    # A burst of 5 at threshold 3: the two late ones are forgotten with the return.
    forgotten = outlier(3, baseEjectionTime=BASE)
    yield one("late-failures-are-forgotten", forgotten, Say(500), Burst(5), AwaitReturn(), Ask(2), *ask(200))
    yield one("late-success-does-not-return", outlier(1), Begin(), *ask(500), Say(200), Release(), Ask())
    yield one(
        "late-failure-while-ejected",
        settings,
        Begin(2),
        *ask(500),
        Release(),
        Ask(),
        AwaitReturn(),
        *ask(200),
    )
    yield one("late-failure-after-return", settings, Begin(), *ask(500), AwaitReturn(), Release(), Ask())
    yield one("burst-with-some-ejected", outlier(1), *ask(500), Burst(4))
    pair = outlier(2, baseEjectionTime=BASE)
    yield several("burst-over-three", 3, outlier(1), Say(500), Burst(12), Ask(2))
    yield several("burst-then-return", 2, pair, Say(500), Burst(12), Ask(), AwaitReturn(), *ask(200))


def _panic() -> Iterator[Scenario]:
    for percent in (1, 50, 100):
        settings = outlier(1, minHealthPercent=percent)
        yield alone(f"panic-{percent}", settings, *ask(500), *ask(500, 200))
        yield one(f"panic-{percent}-with-fallback", settings, *ask(500), Ask(2))
    yield alone("no-panic", outlier(1, minHealthPercent=0), *ask(500), Ask(2))
    yield alone("panic-refused", outlier(1, minHealthPercent=50), *ask(Fault.REFUSE), Ask())
    # One of two is half: 50 is not less than 50, so the other one gets everything; 51 is, so both get some.
    one_bad = (Say(500, endpoint=0), Ask(20), Say(404, endpoint=0), Ask(30))
    yield several("panic-50-of-2", 2, outlier(1, minHealthPercent=50), *one_bad, free_choice=True)
    settings = outlier(1, minHealthPercent=51)
    yield several("panic-51-of-2", 2, settings, *one_bad, free_choice=True, free_counts=True)
    yield several("panic-all-of-3", 3, outlier(1, minHealthPercent=33), Say(500), Ask(3), *ask(200, 500, 200))


def _both() -> Iterator[Scenario]:
    settings = outlier(1)
    service = Service(outlier=settings)
    short = Service(outlier=outlier(1, baseEjectionTime=BASE))
    bad_fallback = Say(500, "fallback")
    yield Scenario(
        name="both-ejected", primary=service, fallback=service, steps=(bad_fallback, *ask(500), Ask(), Ask(2))
    )
    yield Scenario(
        name="both-ejected-primary-back",
        primary=short,
        fallback=service,
        steps=(bad_fallback, *ask(500), Ask(), Ask(), Say(200), AwaitReturn(), Ask(2)),
    )
    yield Scenario(
        name="both-ejected-fallback-back",
        primary=service,
        fallback=short,
        steps=(bad_fallback, *ask(500), Ask(), Ask(), Say(200, "fallback"), AwaitReturn("fallback"), Ask(2)),
    )
    yield one("fallback-never-ejected", settings, bad_fallback, *ask(500), Ask(3))
    yield one("fallback-refuses", settings, Say(Fault.REFUSE, "fallback"), *ask(500), Ask(2))
    yield Scenario(
        name="fallback-refuses-and-is-ejected",
        primary=service,
        fallback=Service(outlier=outlier(2)),
        steps=(Say(Fault.REFUSE, "fallback"), *ask(500), Ask(2)),
    )
    yield Scenario(
        name="fallback-panics",
        primary=service,
        fallback=Service(outlier=outlier(1, minHealthPercent=50)),
        steps=(bad_fallback, *ask(500), Ask(), Ask(2)),
    )
    yield Scenario(
        name="primary-panics-both-ejected",
        primary=Service(outlier=outlier(1, minHealthPercent=50)),
        fallback=service,
        steps=(bad_fallback, *ask(500), Ask(), Ask(2), *ask(200)),
    )


def _endpoints() -> Iterator[Scenario]:
    yield several(
        "retry-avoids-the-tried-one", 2, outlier(0), Say(Fault.REFUSE, endpoint=0), Ask(10), free_choice=True
    )
    yield several("retry-of-three", 3, outlier(0), Say(Fault.REFUSE, endpoint=1), Ask(10), free_choice=True)
    yield several("all-refuse-threshold-1", 3, outlier(1), Say(Fault.REFUSE), Ask(2))
    yield several("all-refuse-two", 2, outlier(1), Say(Fault.REFUSE), Ask(2))
    yield several("all-refuse-four", 4, outlier(1), Say(Fault.REFUSE), Ask(3))
    yield several("all-ejected", 3, outlier(1), Say(500), Ask(5))
    yield several("one-bad-of-three", 3, outlier(1), Say(500, endpoint=1), Ask(30), free_choice=True)
    pair = Service(endpoints=2, outlier=outlier(1))
    yield Scenario(
        name="fallback-when-both-endpoints-are-out",
        primary=pair,
        fallback=Service(),
        steps=(Say(500), Ask(), Ask(), Ask(2)),
    )
    yield Scenario(
        name="fallback-has-two-endpoints",
        primary=Service(outlier=outlier(1)),
        fallback=pair,
        steps=(*ask(500), Say(500, "fallback"), Ask(), Ask(), Ask(2)),
    )


def _connections() -> Iterator[Scenario]:
    for method in ("GET", "POST"):
        for fault in (Fault.CLOSE, Fault.RESET):
            yield one(
                f"pooled-{method}-{fault}".lower(),
                outlier(2),
                *ask(200, 200, fault, 200, fault, fault),
                Ask(),
                keep_alive=True,
                method=method,
            )
    yield one(
        "pooled-get-close-once",
        outlier(1),
        *ask(200, 200),
        Say((Fault.CLOSE, 200)),
        Ask(2),
        keep_alive=True,
        method="GET",
    )
    yield one("pooled-refused", outlier(1), *ask(200, 200, Fault.REFUSE), Ask(), keep_alive=True)
    yield one("get-refused", outlier(1), *ask(Fault.REFUSE), Ask(), method="GET")
    yield one("get-refused-threshold-5", outlier(5), *ask(Fault.REFUSE), method="GET")


def _answers() -> Iterator[Scenario]:
    for fault in (Fault.UNTIL_RESET, Fault.PARTIAL_HEAD, Fault.HANG_UP, Fault.HUGE_HEAD, Fault.CONTINUE_500):
        yield one(f"{fault}-threshold-1", outlier(1), *ask(fault), Ask())
        yield one(f"split-{fault}-local-1", split(9, 1), *ask(fault), Ask())
        yield one(f"{fault}-threshold-2", outlier(2), *ask(fault, fault), Ask())
    yield one("until-close-is-complete", outlier(1), *ask(Fault.UNTIL_CLOSE, Fault.UNTIL_CLOSE))
    yield one("continue-500-get", outlier(1), *ask(Fault.CONTINUE_500), Ask(), method="GET")
    for method in ("HEAD", "OPTIONS", "DELETE"):
        yield one(f"method-{method.lower()}", outlier(2), *ask(200, 500, 500), Ask(), method=method)
    for status in (304, 600, 999):
        yield one(f"answer-{status}", outlier(2), *ask(500, status, 500), *ask(500), Ask())


def _retries() -> Iterator[Scenario]:
    for number in (1, 13, 14):
        yield one(f"grpc-{number}", outlier(1), *ask(grpc(number), 200))
    for size in (1_000_000, 1_100_000):
        yield one(f"body-{size}", outlier(1), *ask(grpc(14)), body_size=size)
    yield one("grpc-then-200", outlier(1), Say((grpc(14), 200)), Ask(2))
    yield several("grpc-on-two", 2, outlier(1), Say(grpc(14)), Ask(2))


GROUPS = (
    _answers,
    _retries,
    _tutorial,
    _thresholds,
    _gateway,
    _local_origin,
    _split,
    _percentage,
    _times,
    _concurrency,
    _panic,
    _both,
    _endpoints,
    _connections,
)
