"""Events for two hosts, and what is shown of them."""

from collections.abc import Iterable
from dataclasses import replace

from llm_fallback.config.snapshot import Target
from llm_fallback.events import (
    NO_ANSWER,
    NO_FIGURES,
    Answer,
    Attempted,
    Ejected,
    Event,
    Figures,
    Handled,
    Rescued,
)
from llm_fallback.metrics import Metrics, stats
from llm_fallback.outlier import Endpoint, OutlierPolicy
from llm_fallback.status import TargetStatus

E1, E2 = Endpoint("10.0.0.1", 443), Endpoint("10.0.0.2", 443)
A = Target("a.com", 80, (E1, E2), outlier=OutlierPolicy())
B = Target("b.com", 80, (E1,))
V1 = Target("a.com", 80, (E1,), subset="v1", outlier=OutlierPolicy())
CLUSTER_A, CLUSTER_B = "cluster.outbound|80||a.com.", "cluster.outbound|80||b.com."


def tried(
    target: Target = A,
    status: int | None = 200,
    failure: str | None = None,
    lost_after_s: float | None = None,
) -> Attempted:
    return Attempted(str(target), str(E1), "for people", 0.1, status, failure, lost_after_s=lost_after_s)


NOBODY = Attempted(str(A), None, "no healthy endpoint", 0.0)


def handled(
    *attempts: Attempted,
    status: int | None = 200,
    flags: tuple[str, ...] = (),
    target: str = "a.com:80",
    instead_of: str | None = None,
    rescue: Rescued | None = None,
    answer: Answer = NO_ANSWER,
    route: str = "r",
) -> Handled:
    made = Handled("POST", "a.com", route, target, instead_of, attempts, status, flags, 0.1, None, rescue)
    return replace(made, answer=answer)


def lost(made: Attempted, seconds: float, figures: Figures = NO_FIGURES) -> Attempted:
    return replace(made, lost_after_s=seconds, figures=figures)


def ejected(reason: str, subset: str | None = None) -> Ejected:
    return Ejected("a.com", 80, str(E1), reason, 10.0, 1, subset)


def counted(*events: Event, targets: Iterable[Target] = (A, B, V1)) -> Metrics:
    metrics = Metrics()
    metrics.adopt(targets)
    for event in events:
        metrics.take(event)
    return metrics


def shown(metrics: Metrics, *statuses: TargetStatus) -> dict[str, float]:
    """What is not 0, by Envoy's names, with A and B for their clusters."""
    return {
        stat.name.replace(CLUSTER_A, "A.").replace(CLUSTER_B, "B."): stat.value
        for stat in stats(metrics, statuses)
        if stat.value and stat.name
    }


def istio(host: str, code: int, flags: str = "-") -> str:
    return f"istio_requests_total.{host}.{code}.{flags}"
