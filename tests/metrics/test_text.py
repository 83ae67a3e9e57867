"""Metrics as Prometheus and people read them."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_fallback.config.snapshot import Target
from llm_fallback.metrics import CONTENT_TYPE, prometheus, stats, stats_text
from llm_fallback.status import EndpointStatus, TargetStatus
from tests.metrics.events import CLUSTER_A, CLUSTER_B, E1, A, B, counted, handled, tried


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
