"""What is counted of events, and how it reads; `tests/parity/test_metrics.py` compares it with Envoy's."""

import re
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_fallback.config.snapshot import Target
from llm_fallback.events import PER_TRY_TIMEOUT, Attempted, Ejected, Event, Handled, Rescued, Returned
from llm_fallback.metrics import CONTENT_TYPE, Metrics, prometheus, stats, stats_text
from llm_fallback.outlier import Endpoint, OutlierPolicy, Reason, State
from llm_fallback.status import EndpointStatus, TargetStatus

E1, E2 = Endpoint("10.0.0.1", 443), Endpoint("10.0.0.2", 443)
A = Target("a.com", 80, (E1, E2), outlier=OutlierPolicy())
B = Target("b.com", 80, (E1,))
V1 = Target("a.com", 80, (E1,), subset="v1", outlier=OutlierPolicy())
CLUSTER_A, CLUSTER_B = "cluster.outbound|80||a.com.", "cluster.outbound|80||b.com."


def tried(target: Target = A, status: int | None = 200, failure: str | None = None) -> Attempted:
    return Attempted(str(target), str(E1), "for people", 0.1, status, failure)


NOBODY = Attempted(str(A), None, "no healthy endpoint", 0.0)


def handled(
    *attempts: Attempted,
    status: int | None = 200,
    flags: tuple[str, ...] = (),
    target: str = "a.com:80",
    instead_of: str | None = None,
    rescue: Rescued | None = None,
) -> Handled:
    return Handled("POST", "a.com", "r", target, instead_of, attempts, status, flags, 0.1, None, rescue)


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


OK = {"A.upstream_rq_200": 1, "A.upstream_rq_2xx": 1, istio("a.com", 200): 1}
FAILED = {"A.upstream_rq_503": 1, "A.upstream_rq_5xx": 1}
TIMED_OUT = {"A.upstream_rq_504": 1, "A.upstream_rq_5xx": 1, istio("a.com", 504, "UT"): 1}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(handled(tried()), {**OK, "A.upstream_rq_total": 1}, id="an answer"),
        pytest.param(
            handled(tried(status=503), tried()),
            {**OK, "A.upstream_rq_total": 2, "A.upstream_rq_retry": 1, "A.retry.upstream_rq_503": 1},
            id="the second answer",
        ),
        pytest.param(
            handled(tried(status=503), tried(status=503), status=503, flags=("URX",)),
            {
                **FAILED,
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
                tried(status=429),
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


def test_the_exposition_parses() -> None:
    """By the library's own parser, with Envoy's and Istio's names, types and labels."""
    events = (
        handled(tried(status=503), tried()),
        handled(tried(B), target="b.com:80", instead_of="a.com:80"),
    )
    text = prometheus(list(stats(counted(*events), (TargetStatus(A, (EndpointStatus(E1),)),)))).decode()

    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
    cluster = ("envoy_cluster_name", "outbound|80||a.com")
    assert samples["envoy_cluster_upstream_rq_xx_total", cluster, ("envoy_response_code_class", "2")] == 1
    assert samples["envoy_cluster_membership_healthy", cluster] == 1
    for name in ("upstream_rq_retry", "upstream_rq", "upstream_rq_total", "retry_upstream_rq"):
        assert f"\n# TYPE envoy_cluster_{name} counter\nenvoy_cluster_{name}{{" in text
    assert "# TYPE envoy_cluster_membership_total gauge\n" in text
    assert (
        'istio_requests_total{destination_service="b.com",destination_service_name="b.com",reporter="source",'
        'request_protocol="http",response_code="200",response_flags="-"} 1.0\n'
    ) in text
    assert "_created" not in text


def test_durations_are_a_histogram_with_envoys_buckets() -> None:
    """100 ms is within the bucket of 100."""
    text = prometheus(list(stats(counted(handled(tried())), ()))).decode()

    (family,) = [f for f in text_string_to_metric_families(text) if f.type == "histogram"]
    assert family.name == "istio_request_duration_milliseconds"
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if "le" in sample.labels}
    assert (len(buckets), buckets["50"], buckets["100"], buckets["+Inf"]) == (20, 0, 1, 1)
    assert {s.value for s in family.samples if s.name.endswith("_sum")} == {100}


def test_a_label_is_escaped() -> None:
    """Whatever a host is called."""
    odd = Target('a"b\\c.com', 80, ())

    (family, *_) = text_string_to_metric_families(prometheus(stats(counted(targets=(odd,)), ())).decode())

    assert family.samples[0].labels["envoy_cluster_name"] == 'outbound|80||a"b\\c.com'


@pytest.mark.parametrize(
    ("wanted", "used_only", "expected"),
    [
        (
            "upstream_rq_retry$",
            False,
            [f"{CLUSTER_A}upstream_rq_retry: 0", f"{CLUSTER_B}upstream_rq_retry: 0"],
        ),
        ("upstream_rq_retry$", True, []),
        ("upstream_rq_2", True, [f"{CLUSTER_A}upstream_rq_200: 1", f"{CLUSTER_A}upstream_rq_2xx: 1"]),
        ("^istio", True, ["istio_requests_total.a.com.200.-: 1"]),
        ("rq_active", True, [f"{CLUSTER_A}upstream_rq_active: 0"]),
    ],
)
def test_the_list(wanted: str, used_only: bool, expected: list[str]) -> None:  # noqa: FBT001 - a table
    """By name; what has never been counted is not used, and what is as it is always is."""

    metrics = counted(handled(tried()), targets=(A, B))
    found = stats(metrics, (TargetStatus(A, ()),))

    assert stats_text(found, matches=re.compile(wanted).search, used_only=used_only).splitlines() == expected
