"""What scenarios are made of."""

from typing import Any

from tests.parity.scenario import Ask, Behaviour, Reply, Say, Scenario, Service, Step

LONG = "60s"  # longer than any scenario
BASE = "1500ms"
INTERVAL = "100ms"

GROWING = {
    "consecutive5xxErrors": 1,
    "interval": "300ms",
    "baseEjectionTime": "1s",
    "maxEjectionPercent": 100,
}
"""The next ejection is 1.5 s longer, if it comes within 500 ms of the return."""

type Steps = tuple[Step, ...]


def outlier(threshold: int | None = 1, **more: Any) -> dict[str, Any]:
    """An `outlierDetection`: everyone may be ejected, for longer than the scenario lasts."""
    settings: dict[str, Any] = {"interval": INTERVAL, "baseEjectionTime": LONG, "maxEjectionPercent": 100}
    if threshold is not None:
        settings["consecutive5xxErrors"] = threshold
    return settings | more


def split(threshold: int, local: int | None, **more: Any) -> dict[str, Any]:
    """One that counts failures of local origin apart."""
    settings = outlier(threshold, splitExternalLocalOriginErrors=True, **more)
    return settings if local is None else settings | {"consecutiveLocalOriginFailures": local}


def grpc(status: int) -> Reply:
    """A gRPC answer without messages, which says what became of the call among its headers."""
    return Reply(200, (("grpc-status", str(status)),))


def ask(*behaviours: Behaviour, service: str = "primary") -> Steps:
    """A request for each behaviour, which all endpoints of the service show."""
    return tuple(step for behaviour in behaviours for step in (Say(behaviour, service), Ask()))


def one(name: str, settings: dict[str, Any] | None, *steps: Step, **more: Any) -> Scenario:
    """A primary with a single endpoint, and a fallback that is well."""
    primary = Service(outlier=settings, policy=more.pop("policy", {}))
    return Scenario(name=name, primary=primary, fallback=Service(), steps=tuple(steps), **more)


def alone(name: str, settings: dict[str, Any] | None, *steps: Step, **more: Any) -> Scenario:
    """A primary with a single endpoint and no fallback."""
    primary = Service(outlier=settings, policy=more.pop("policy", {}))
    return Scenario(name=name, primary=primary, steps=tuple(steps), **more)


def several(name: str, count: int, settings: dict[str, Any], *steps: Step, **more: Any) -> Scenario:
    """A primary with several endpoints and no fallback."""
    primary = Service(endpoints=count, outlier=settings, policy=more.pop("policy", {}))
    return Scenario(name=name, primary=primary, steps=tuple(steps), **more)


def route(
    name: str,
    settings: dict[str, Any],
    *steps: Step,
    outlier: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """A primary with a single endpoint and a route with settings of its own."""
    primary = Service(outlier=outlier, policy=policy or {})
    return Scenario(name=name, primary=primary, steps=tuple(steps), route=settings, **more)
