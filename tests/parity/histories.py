"""Random histories: the same seed gives the same scenario, on every machine.

A history has chapters. In each of them an ejection may come, which lasts until the chapter's end; so no
request meets the end of an ejection by chance, which the two players' sweeps do not reach at the same time.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.parity.scenario import (
    Ask,
    AwaitReturn,
    Behaviour,
    Burst,
    Fault,
    Pause,
    Request,
    Say,
    Scenario,
    Service,
    Step,
)
from tests.parity.scenarios.common import grpc

_ANSWERS: tuple[Behaviour, ...] = (200, 200, 404, 429, 500, 500, 500, 502, 503, 503, 504, 529, 599)
_FAULTS: tuple[Behaviour, ...] = (Fault.REFUSE, Fault.CLOSE, Fault.RESET, Fault.GARBAGE, Fault.CUT)
_FAILURES: tuple[Behaviour, ...] = (500, 502, 503, 529, Fault.CLOSE, Fault.RESET, Fault.GARBAGE)
_WORDS = (
    "5xx",
    "gateway-error",
    "reset",
    "connect-failure",
    "retriable-4xx",
    "unavailable",
    "429",
    "503",
    "504",
)
_FORGOTTEN_S = 0.35  # three sweeps: whatever the ejection before was, the next is the first again
_EJECTED = {"interval": "100ms", "baseEjectionTime": "2s", "maxEjectionPercent": 100}


def history(seed: int) -> Scenario:
    """One history."""
    rng = random.Random(seed)
    return rng.choice(_KINDS)(f"history-{seed}", rng)


def histories(count: int, *, first_seed: int = 0) -> Iterator[Scenario]:
    """Histories of successive seeds."""
    return (history(seed) for seed in range(first_seed, first_seed + count))


def _chapters(rng: random.Random) -> range:
    return range(rng.randint(6, 8) if rng.random() < 0.1 else rng.randint(2, 4))


def _settings(rng: random.Random) -> dict[str, Any]:
    """Of a service with one endpoint."""
    settings: dict[str, Any] = {
        **_EJECTED,
        "consecutive5xxErrors": rng.choice((0, 1, 2, 2, 3, 3, 4, 5)),
        "minHealthPercent": rng.choice((0, 0, 0, 50)),
    }
    if rng.random() < 0.4:
        settings["consecutiveGatewayErrors"] = rng.randint(1, 3)
    if rng.random() < 0.3:
        settings["splitExternalLocalOriginErrors"] = True
        settings["consecutiveLocalOriginFailures"] = rng.randint(1, 5)
    if rng.random() < 0.2:
        settings["outlierDetectionHttpErrorCodes"] = rng.sample((404, 429, 500, 503), rng.randint(1, 3))
    return settings


def _behaviour(rng: random.Random) -> Behaviour:
    return rng.choice(_FAULTS if rng.random() < 0.3 else _ANSWERS)


def _lone(name: str, rng: random.Random) -> Scenario:
    """One endpoint, one request after the other and now and then some at once."""
    steps: list[Step] = []
    for _ in _chapters(rng):
        for _ in range(rng.randint(2, 6)):
            if rng.random() < 0.15:
                steps += [Say(rng.choice(_ANSWERS)), Burst(rng.randint(2, 4))]
            else:
                steps += [Say(_behaviour(rng)), Ask()]
        steps += [AwaitReturn(), Pause(_FORGOTTEN_S)]
    return Scenario(
        name=name,
        primary=Service(outlier=_settings(rng)),
        fallback=Service() if rng.random() < 0.6 else None,
        keep_alive=rng.random() < 0.3,
        steps=tuple(steps),
    )


def _retried(name: str, rng: random.Random) -> Scenario:
    """One endpoint, whose failures are retried, with a time limit for each attempt or for all."""
    words = rng.sample(_WORDS, rng.randint(1, 4))
    route: dict[str, Any] = {"retries": {"attempts": rng.randint(1, 3), "retryOn": ",".join(words)}}
    if rng.random() < 0.3:
        route = {"retries": {"attempts": 0}, "timeout": "150ms"}
    elif rng.random() < 0.5:
        route["retries"]["perTryTimeout"] = "150ms"
    is_limited = "timeout" in route or "perTryTimeout" in route["retries"]
    odd: tuple[Behaviour, ...] = (grpc(14), grpc(1), *((Fault.SILENT,) * 3 if is_limited else ()))
    steps: list[Step] = []
    for _ in range(rng.randint(2, 3)):
        for _ in range(rng.randint(2, 5)):
            script = tuple(_scripted(rng, odd) for _ in range(rng.randint(1, 4)))
            steps += [Say((*script, _behaviour(rng))), Ask(rng.randint(1, 2))]
        steps += [Say(200), AwaitReturn(), Pause(_FORGOTTEN_S)]
    return Scenario(
        name=name,
        primary=Service(outlier={**_settings(rng), "baseEjectionTime": "4s"}),
        fallback=Service() if rng.random() < 0.5 else None,
        route=route,
        steps=tuple(steps),
    )


def _scripted(rng: random.Random, odd: tuple[Behaviour, ...]) -> Behaviour:
    if rng.random() < 0.3:
        return rng.choice(odd)
    found = _behaviour(rng)
    return 503 if found is Fault.REFUSE else found  # who listens to nobody cannot go on with a script


def _alike(name: str, rng: random.Random) -> Scenario:
    """Several endpoints that behave alike; at threshold 1 it does not matter whom the balancer chooses."""
    endpoints = rng.randint(2, 3)
    settings = {**_EJECTED, "consecutive5xxErrors": 1, "maxEjectionPercent": rng.choice((100, 100, 50, 67))}
    steps: list[Step] = []
    for _ in _chapters(rng):
        for _ in range(rng.randint(2, 6)):
            steps += [Say(_behaviour(rng)), Ask()]
        steps += [AwaitReturn(), Pause(_FORGOTTEN_S)]
    return Scenario(
        name=name,
        primary=Service(endpoints=endpoints, outlier=settings),
        fallback=Service() if rng.random() < 0.5 else None,
        steps=tuple(steps),
    )


def _many(name: str, rng: random.Random) -> Scenario:
    """Several endpoints in turn, with higher thresholds.

    A chapter has too few failures for any of them, or enough for all; in between, who is next would depend on
    where the balancer began. Then each answers 200 once.
    """
    endpoints, threshold = rng.randint(2, 4), rng.randint(2, 4)
    percent = rng.choice((100, 100, 100, 50))
    steps: list[Step] = []
    for _ in _chapters(rng):
        enough = rng.random() < 0.6
        times = (
            endpoints * threshold + rng.randint(1, 3) if enough else endpoints * rng.randint(1, threshold - 1)
        )
        steps += [Say(rng.choice(_FAILURES)), Ask(times)]
        steps += [Say(200), AwaitReturn(), Pause(_FORGOTTEN_S), Ask(endpoints)]
    settings = {**_EJECTED, "consecutive5xxErrors": threshold, "maxEjectionPercent": percent}
    return Scenario(
        name=name,
        primary=Service(
            endpoints=endpoints, outlier=settings, policy={"loadBalancer": {"simple": "ROUND_ROBIN"}}
        ),
        fallback=Service() if rng.random() < 0.5 else None,
        steps=tuple(steps),
    )


def _trio(name: str, rng: random.Random) -> Scenario:
    """Three providers, two of which may be ejected while the third has no say; clients call all of them."""
    names = ("primary", "fallback", "third")
    steps: list[Step] = []
    for _ in _chapters(rng):
        for _ in range(rng.randint(4, 8)):
            if rng.random() < 0.7:
                steps.append(Say(_behaviour(rng), rng.choice(names)))
            steps.append(Ask(1, Request(service=rng.choice(("primary", *names)))))
        steps += [AwaitReturn(service) for service in names]
        steps.append(Pause(_FORGOTTEN_S))
    return Scenario(
        name=name,
        primary=Service(outlier=_settings(rng)),
        fallback=Service(outlier=_settings(rng)),
        others={"third": Service(outlier=_settings(rng))},
        steps=tuple(steps),
        llm=rng.random() < 0.3,
    )


_KINDS: tuple[Callable[[str, random.Random], Scenario], ...] = (_lone, _lone, _retried, _alike, _many, _trio)
