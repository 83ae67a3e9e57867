"""Random histories: the same seed gives the same scenario, on every machine."""

import random
from collections.abc import Iterator
from typing import Any

from tests.parity.scenario import (
    Ask,
    AwaitReturn,
    Behaviour,
    Burst,
    Fault,
    Pause,
    Say,
    Scenario,
    Service,
    Step,
)

_ANSWERS: tuple[Behaviour, ...] = (200, 200, 404, 429, 500, 500, 500, 502, 503, 503, 504, 529, 599)
_FAULTS: tuple[Behaviour, ...] = (Fault.REFUSE, Fault.CLOSE, Fault.RESET, Fault.GARBAGE, Fault.CUT)
_FORGOTTEN_S = 0.35  # three sweeps: whatever the ejection before was, the next is the first again


def history(seed: int) -> Scenario:
    """A short history of a primary with one endpoint, or several that all behave alike.

    In each of its chapters an ejection may come, which lasts until the chapter's end; so no request meets the
    end of an ejection by chance, which the two players' sweeps do not reach at the same time.
    """
    rng = random.Random(seed)
    endpoints = rng.choice((1, 1, 1, 2, 3))
    steps: list[Step] = []
    for _ in range(rng.randint(2, 4)):
        steps += _chapter(rng, bursts=endpoints == 1)
    return Scenario(
        name=f"history-{seed}",
        primary=Service(endpoints=endpoints, outlier=_settings(rng, endpoints)),
        fallback=Service() if rng.random() < 0.6 else None,
        keep_alive=rng.random() < 0.3,
        steps=tuple(steps),
    )


def histories(count: int, *, first_seed: int = 0) -> Iterator[Scenario]:
    """Histories of successive seeds."""
    return (history(seed) for seed in range(first_seed, first_seed + count))


def _settings(rng: random.Random, endpoints: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        # With several endpoints, who has how many failures is the balancer's choice; 1 leaves it none.
        "consecutive5xxErrors": 1 if endpoints > 1 else rng.choice((0, 1, 2, 2, 3, 3, 4, 5)),
        "interval": "100ms",
        "baseEjectionTime": "2s",
        "maxEjectionPercent": rng.choice((100, 100, 100, 50, 67)) if endpoints > 1 else 100,
        "minHealthPercent": 0 if endpoints > 1 else rng.choice((0, 0, 0, 50)),
    }
    if endpoints == 1 and rng.random() < 0.4:
        settings["consecutiveGatewayErrors"] = rng.randint(1, 3)
    if endpoints == 1 and rng.random() < 0.3:
        settings["splitExternalLocalOriginErrors"] = True
        settings["consecutiveLocalOriginFailures"] = rng.randint(1, 5)
    return settings


def _chapter(rng: random.Random, *, bursts: bool) -> Iterator[Step]:
    for _ in range(rng.randint(2, 6)):
        if bursts and rng.random() < 0.15:
            yield Say(rng.choice(_ANSWERS))
            yield Burst(rng.randint(2, 4))
        else:
            yield Say(rng.choice(_FAULTS if rng.random() < 0.3 else _ANSWERS))
            yield Ask()
    yield AwaitReturn()
    yield Pause(_FORGOTTEN_S)
