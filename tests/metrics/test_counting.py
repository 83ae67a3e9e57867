"""What is counted of events; `tests/parity/test_metrics.py` compares it with what Envoy counts."""

import pytest

from llm_fallback.config.snapshot import Target
from llm_fallback.events import PER_TRY_TIMEOUT, Attempted, Event, Rescued, Returned
from llm_fallback.outlier import Endpoint, Reason, State
from llm_fallback.status import EndpointStatus, TargetStatus
from tests.metrics.events import E1, E2, NOBODY, A, B, counted, ejected, handled, istio, shown, tried

OK = {"A.upstream_rq_200": 1, "A.upstream_rq_2xx": 1, istio("a.com", 200): 1}
FAILED = {"A.upstream_rq_503": 1, "A.upstream_rq_5xx": 1}
LOST = {"llm_fallback.lost_attempts_total.a.com.503": 1, "llm_fallback.lost_seconds_total.a.com.503": 0.1}
TIMED_OUT = {"A.upstream_rq_504": 1, "A.upstream_rq_5xx": 1, istio("a.com", 504, "UT"): 1}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(handled(tried()), {**OK, "A.upstream_rq_total": 1}, id="an answer"),
        pytest.param(
            handled(tried(status=503, lost_after_s=0.1), tried()),
            {**OK, **LOST, "A.upstream_rq_total": 2, "A.upstream_rq_retry": 1, "A.retry.upstream_rq_503": 1},
            id="the second answer",
        ),
        pytest.param(
            handled(tried(status=503, lost_after_s=0.1), tried(status=503), status=503, flags=("URX",)),
            {
                **FAILED,
                **LOST,
                "A.upstream_rq_total": 2,
                "A.upstream_rq_retry": 1,
                "A.upstream_rq_retry_limit_exceeded": 1,
                "A.retry.upstream_rq_503": 1,
                istio("a.com", 503, "URX"): 1,
            },
            id="retries used up",
        ),
        pytest.param(
            handled(tried(status=None, failure="connect-failure"), NOBODY, status=503, flags=("UH",)),
            {
                **FAILED,
                "A.upstream_cx_connect_fail": 1,
                "A.upstream_rq_retry": 1,
                "A.upstream_cx_none_healthy": 1,
                istio("a.com", 503, "UH"): 1,
            },
            id="nobody left",
        ),
        pytest.param(
            handled(tried(status=503, lost_after_s=0.1), NOBODY, status=503, flags=("UH",)),
            {
                **FAILED,
                **LOST,
                "A.upstream_rq_total": 1,
                "A.retry.upstream_rq_503": 1,
                "A.upstream_rq_retry": 1,
                "A.upstream_cx_none_healthy": 1,
                istio("a.com", 503, "UH"): 1,
            },
            id="nobody left after an answer of the same status",
        ),
        pytest.param(
            handled(tried(status=None, failure="connect-timeout"), status=503, flags=("UF", "URX")),
            {
                **FAILED,
                "A.upstream_cx_connect_fail": 1,
                "A.upstream_cx_connect_timeout": 1,
                "A.upstream_rq_retry_limit_exceeded": 1,
                istio("a.com", 503, "UF,URX"): 1,
            },
            id="not connected in time",
        ),
        pytest.param(
            handled(tried(status=None, failure="timeout"), status=504, flags=("UT",)),
            {**TIMED_OUT, "A.upstream_rq_total": 1, "A.upstream_rq_timeout": 1},
            id="the request's time",
        ),
        pytest.param(
            handled(tried(status=None, failure=PER_TRY_TIMEOUT), status=504, flags=("UT",)),
            {**TIMED_OUT, "A.upstream_rq_total": 1, "A.upstream_rq_per_try_timeout": 1},
            id="the attempt's time",
        ),
        pytest.param(
            handled(tried(status=None, failure="overflow"), status=503, flags=("UO",)),
            {**FAILED, "A.upstream_rq_pending_overflow": 1, istio("a.com", 503, "UO"): 1},
            id="overflow",
        ),
        pytest.param(
            handled(tried(status=503), status=503, flags=("UO",)),
            {
                **FAILED,
                "A.upstream_rq_total": 1,
                "A.upstream_rq_retry_overflow": 1,
                istio("a.com", 503, "UO"): 1,
            },
            id="too many retries",
        ),
        pytest.param(
            handled(tried(status=None), status=None, flags=("DC",)),
            {"A.upstream_rq_total": 1, istio("a.com", 0, "DC"): 1},
            id="the client left",
        ),
        pytest.param(
            handled(status=404, flags=("NR",), target="nowhere"),
            {istio("unknown", 404, "NR"): 1},
            id="no route",
        ),
        pytest.param(
            handled(status=418, flags=("FI",)), {istio("a.com", 418, "FI"): 1}, id="a fault is no upstream's"
        ),
        pytest.param(
            handled(tried(B), target="b.com:80", instead_of="a.com:80"),
            {
                "B.upstream_rq_total": 1,
                "B.upstream_rq_200": 1,
                "B.upstream_rq_2xx": 1,
                istio("b.com", 200): 1,
                "llm_fallback.fallbacks_total.a.com.b.com": 1,
            },
            id="the fallback",
        ),
        pytest.param(
            handled(
                tried(status=429, lost_after_s=0.1),
                tried(B),
                target="b.com:80",
                instead_of="a.com:80",
                rescue=Rescued("p", ("a.com:80: 429",)),
            ),
            {
                "A.upstream_rq_total": 1,
                "A.retry.upstream_rq_429": 1,
                "B.upstream_rq_total": 1,
                "B.upstream_rq_200": 1,
                "B.upstream_rq_2xx": 1,
                istio("b.com", 200): 1,
                "llm_fallback.fallbacks_total.a.com.b.com": 1,
                "llm_fallback.rescues_total.429.saved": 1,
                "llm_fallback.lost_attempts_total.a.com.429": 1,
                "llm_fallback.lost_seconds_total.a.com.429": 0.1,
            },
            id="a rescue",
        ),
        pytest.param(
            handled(tried(status=503), status=503, rescue=Rescued("p", ("a.com:80: 503",), is_spent=True)),
            {
                **FAILED,
                "A.upstream_rq_total": 1,
                istio("a.com", 503): 1,
                "llm_fallback.rescues_total.503.lost": 1,
            },
            id="a rescue in vain",
        ),
        pytest.param(
            handled(tried(), rescue=Rescued("p")), {**OK, "A.upstream_rq_total": 1}, id="nothing to do"
        ),
        pytest.param(
            ejected(Reason.CONSECUTIVE_5XX),
            {
                "A.outlier_detection.ejections_enforced_total": 1,
                "A.outlier_detection.ejections_enforced_consecutive_5xx": 1,
            },
            id="5xx",
        ),
        pytest.param(
            ejected(Reason.CONSECUTIVE_GATEWAY),
            {
                "A.outlier_detection.ejections_enforced_total": 1,
                "A.outlier_detection.ejections_enforced_consecutive_gateway_failure": 1,
            },
            id="gateway errors",
        ),
        pytest.param(
            ejected(Reason.CONSECUTIVE_LOCAL_ORIGIN, "v1"),
            {
                "cluster.outbound|80|v1|a.com.outlier_detection.ejections_enforced_total": 1,
                "cluster.outbound|80|v1|a.com.outlier_detection."
                "ejections_enforced_consecutive_local_origin_failure": 1,
            },
            id="local origin, of a subset",
        ),
        pytest.param(
            ejected("asked by the provider"),
            {"A.llm_fallback.hold_offs_total": 1},
            id="asked to be left alone",
        ),
        pytest.param(Returned("a.com", 80, str(E1), 10.0), {}, id="returned"),
    ],
)
def test_an_event_counts(event: Event, expected: dict[str, float]) -> None:
    """As exactly this, and nothing else."""
    assert shown(counted(event)) == expected


def test_the_state_is_read_when_asked_for() -> None:
    """Two endpoints: one is ejected, the other has asked to be left alone; load is summed up."""
    out = State(Reason.CONSECUTIVE_5XX, 1.0, 11.0, 1, {})
    status = TargetStatus(
        A,
        (
            EndpointStatus(E1, 1, out, connections=2, active_requests=1),
            EndpointStatus(E2, 1, None, 5.0, connections=1, pending_requests=3),
        ),
    )

    assert shown(counted(), status) == {
        "A.membership_total": 2,
        "A.outlier_detection.ejections_active": 1,
        "A.llm_fallback.hold_offs_active": 1,
        "A.upstream_cx_active": 3,
        "A.upstream_rq_active": 1,
        "A.upstream_rq_pending_active": 3,
    }


@pytest.mark.parametrize(
    ("targets", "left"),
    [
        pytest.param((A, B), 2, id="both stay"),
        pytest.param((B,), 1, id="one stays"),
        pytest.param((), 0, id="none stays"),
    ],
)
def test_a_reload_keeps_the_counts_of_what_stays(targets: tuple[Target, ...], left: int) -> None:
    """Only hosts of the configuration in force are shown, so that labels stay few."""
    metrics = counted(handled(tried()), handled(tried(B), target="b.com:80", instead_of="a.com:80"))

    metrics.adopt(targets)

    found = shown(metrics)
    assert sum(name.startswith("istio") for name in found) == left
    assert sum(name.endswith("upstream_rq_total") for name in found) == left
    assert sum(name.startswith("llm_fallback.fallbacks") for name in found) == (left == 2)


def test_what_is_not_in_the_configuration_has_no_label() -> None:
    """A request that began before a reload, to a host that is gone since."""
    metrics = counted(handled(tried()), ejected(Reason.CONSECUTIVE_5XX), targets=(B,))

    assert shown(metrics) == {istio("unknown", 200): 1}


def test_addresses_that_change_for_ever_are_forgotten() -> None:
    """The oldest first."""
    metrics = counted()
    for number in range(1500):
        metrics.take(handled(Attempted("a.com:80", f"10.0.0.1:{number}", "200", 0.1, 200)))

    assert len(metrics.targets["a.com:80"].endpoints) == 1000
    assert metrics.of_endpoint(A, Endpoint("10.0.0.1", 1499))["rq_total"] == 1
    assert metrics.of_endpoint(A, Endpoint("10.0.0.1", 0))["rq_total"] == 0
