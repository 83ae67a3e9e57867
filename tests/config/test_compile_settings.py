"""The blocks of a DestinationRule as its targets have them: what reaches Envoy of Istio's fields."""

import pytest

from llm_fallback.config.compile.settings import tls
from llm_fallback.config.snapshot import (
    Algorithm,
    ConnectionPool,
    HashPolicy,
    HashSource,
    LoadBalancing,
    Tls,
    Warmup,
)
from llm_fallback.outlier import OutlierPolicy
from llm_fallback.resources.destinationrule import ClientTlsSettings
from tests.config.compiled import target_of
from tests.config.conftest import Load
from tests.config.written import entry, rule


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        pytest.param(
            "{}",
            OutlierPolicy(5, 0, interval_s=10.0, base_ejection_s=30.0, max_ejection_percent=10),
            id="envoys-defaults",
        ),
        pytest.param(
            "{maxEjectionPercent: 0}", OutlierPolicy(max_ejection_percent=10), id="0-percent-is-unset"
        ),
        pytest.param("{maxEjectionPercent: 1}", OutlierPolicy(max_ejection_percent=1), id="1-percent"),
        pytest.param("{consecutive5xxErrors: 0}", OutlierPolicy(consecutive_5xx=0), id="0-errors-is-off"),
        pytest.param("{consecutiveGatewayErrors: 3}", OutlierPolicy(consecutive_gateway=3), id="gateway"),
        pytest.param(
            "{splitExternalLocalOriginErrors: true}", OutlierPolicy(split_local_origin=True), id="split"
        ),
        pytest.param(
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0}",
            OutlierPolicy(split_local_origin=True, consecutive_local_origin=5),
            id="split-0-is-envoys-default",
        ),
        pytest.param(
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2}",
            OutlierPolicy(split_local_origin=True, consecutive_local_origin=2),
            id="split-2",
        ),
        pytest.param(
            "{interval: 1ms, baseEjectionTime: 1h30m}",
            OutlierPolicy(interval_s=0.001, base_ejection_s=5400.0),
            id="times",
        ),
        pytest.param(
            "{outlierDetectionHttpErrorCodes: [429, 503, 429]}",
            OutlierPolicy(error_codes=frozenset({429, 503})),
            id="error-codes",
        ),
        pytest.param("{outlierDetectionHttpErrorCodes: []}", OutlierPolicy(), id="no-error-codes"),
    ],
)
def test_outlier_detection(load_yaml: Load, settings: str, policy: OutlierPolicy) -> None:
    """Istio's fields as they reach Envoy."""
    target = target_of(load_yaml, entry() + rule(trafficPolicy=f"{{outlierDetection: {settings}}}"))

    assert target.outlier == policy


@pytest.mark.parametrize(
    ("settings", "names", "expected"),
    [
        pytest.param("{mode: SIMPLE}", "[]", Tls("b.com", ("b.com",)), id="plain"),
        pytest.param(
            "{mode: SIMPLE, sni: s.com}", "[]", Tls("s.com", ("b.com",)), id="sni-is-sent-not-checked"
        ),
        pytest.param(
            "{mode: SIMPLE, sni: s.com, subjectAltNames: [x, y]}",
            "[z]",
            Tls("s.com", ("x", "y")),
            id="names-of-the-rule",
        ),
        pytest.param("{mode: SIMPLE, sni: s.com}", "[z]", Tls("s.com", ("z",)), id="names-of-the-entry"),
        pytest.param(
            "{mode: SIMPLE, caCertificates: system}",
            "[]",
            Tls("b.com", ("b.com",), ca_file=None),
            id="systems-ca",
        ),
        pytest.param(
            "{mode: SIMPLE, insecureSkipVerify: true}",
            "[]",
            Tls("b.com", ("b.com",), verify=False),
            id="unverified",
        ),
        pytest.param("{mode: DISABLE}", "[]", None, id="disable"),
        pytest.param("{}", "[]", None, id="no-mode-is-disable"),
    ],
)
def test_tls(load_yaml: Load, settings: str, names: str, expected: Tls | None) -> None:
    """What is sent as SNI, and whose name the certificate must bear."""
    target = target_of(load_yaml, entry(subjectAltNames=names) + rule(trafficPolicy=f"{{tls: {settings}}}"))

    assert target.tls == expected


def test_files_of_tls() -> None:
    """The authority's, and for MUTUAL the client's own; whether they are there is a check's question."""
    written = {
        "mode": "MUTUAL", "caCertificates": "/ca.pem", "clientCertificate": "/c.pem", "privateKey": "/k.pem",
    }  # fmt: skip

    assert tls("b.com", ClientTlsSettings.model_validate(written), ()) == Tls(
        "b.com", ("b.com",), ca_file="/ca.pem", certificate_file="/c.pem", key_file="/k.pem"
    )


RING, MAGLEV = Algorithm.RING_HASH, Algorithm.MAGLEV
USER = HashPolicy(HashSource.HEADER, "x-user")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param("{}", LoadBalancing(), id="nothing-is-least-request"),
        pytest.param("{simple: UNSPECIFIED}", LoadBalancing(), id="unspecified"),
        pytest.param("{simple: LEAST_REQUEST}", LoadBalancing(), id="least-request"),
        pytest.param("{simple: LEAST_CONN}", LoadBalancing(), id="least-conn"),
        pytest.param("{simple: ROUND_ROBIN}", LoadBalancing(Algorithm.ROUND_ROBIN), id="round-robin"),
        pytest.param("{simple: RANDOM}", LoadBalancing(Algorithm.RANDOM), id="random"),
        pytest.param(
            "{consistentHash: {httpHeaderName: X-User}}", LoadBalancing(RING, USER, 1024), id="header"
        ),
        pytest.param(
            "{consistentHash: {httpHeaderName: x-user, minimumRingSize: 7}}",
            LoadBalancing(RING, USER, 7),
            id="deprecated-ring-size",
        ),
        pytest.param(
            "{consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 9}}}",
            LoadBalancing(RING, USER, 9),
            id="ring-size",
        ),
        pytest.param(
            "{consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 11}}}",
            LoadBalancing(MAGLEV, USER, 11),
            id="maglev",
        ),
        pytest.param(
            "{consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 8388608}}}",
            LoadBalancing(RING, USER, 65537),
            id="a-ring-that-is-too-large",
        ),
        pytest.param(
            "{consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 4999999}}}",
            LoadBalancing(MAGLEV, USER, 65537),
            id="a-table-that-is-too-large",
        ),
        pytest.param(
            "{consistentHash: {useSourceIp: true}}",
            LoadBalancing(RING, HashPolicy(HashSource.SOURCE_IP)),
            id="source-ip",
        ),
        pytest.param(
            "{consistentHash: {httpQueryParameterName: User}}",
            LoadBalancing(RING, HashPolicy(HashSource.QUERY_PARAMETER, "User")),
            id="query-parameter",
        ),
        pytest.param(
            "{consistentHash: {httpCookie: {name: u, path: /p, ttl: 90s}}}",
            LoadBalancing(RING, HashPolicy(HashSource.COOKIE, "u", "/p", 90.0)),
            id="cookie",
        ),
        pytest.param(
            "{consistentHash: {httpCookie: {name: u, ttl: 0s}}}",
            LoadBalancing(RING, HashPolicy(HashSource.COOKIE, "u", "", 0.0)),
            id="session-cookie",
        ),
        pytest.param(
            "{consistentHash: {httpCookie: {name: u}}}",
            LoadBalancing(RING, HashPolicy(HashSource.COOKIE, "u")),
            id="cookie-that-is-not-made",
        ),
        pytest.param(
            "{simple: ROUND_ROBIN, warmup: {duration: 30s}}",
            LoadBalancing(Algorithm.ROUND_ROBIN, warmup=Warmup(30.0, 1.0, 10.0)),
            id="warmup",
        ),
        pytest.param(
            "{warmup: {duration: 1m, aggression: 2.5, minimumPercent: 20}}",
            LoadBalancing(warmup=Warmup(60.0, 2.5, 20.0)),
            id="warmup-in-full",
        ),
        pytest.param("{warmupDurationSecs: 5s}", LoadBalancing(warmup=Warmup(5.0)), id="deprecated-warmup"),
    ],
)
def test_load_balancing(load_yaml: Load, settings: str, expected: LoadBalancing) -> None:
    """Algorithms, what is hashed, and slow starts."""
    target = target_of(load_yaml, entry() + rule(trafficPolicy=f"{{loadBalancer: {settings}}}"))

    assert target.balancing == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param("{tcp: {}}", ConnectionPool(10.0, 3600.0), id="defaults"),
        pytest.param("{tcp: {maxConnections: 5}}", ConnectionPool(max_connections=5), id="max-connections"),
        pytest.param("{tcp: {maxConnections: 0}}", ConnectionPool(), id="0-is-no-limit"),
        pytest.param("{tcp: {connectTimeout: 30ms}}", ConnectionPool(0.03), id="connect-timeout"),
        pytest.param("{tcp: {idleTimeout: 5m}}", ConnectionPool(idle_timeout_s=300.0), id="tcp-idle"),
        pytest.param("{http: {idleTimeout: 7s}}", ConnectionPool(idle_timeout_s=7.0), id="http-idle"),
        pytest.param(
            "{tcp: {idleTimeout: 5m}, http: {idleTimeout: 7s}}",
            ConnectionPool(idle_timeout_s=7.0),
            id="https-wins",
        ),
        pytest.param("{http: {idleTimeout: 0s}}", ConnectionPool(idle_timeout_s=None), id="for-ever"),
        pytest.param(
            "{tcp: {maxConnectionDuration: 1h}}",
            ConnectionPool(max_connection_duration_s=3600.0),
            id="connection-duration",
        ),
        pytest.param(
            "{http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRetries: 3,"
            " maxRequestsPerConnection: 4}}",
            ConnectionPool(
                max_pending_requests=1, max_requests=2, max_retries=3, max_requests_per_connection=4
            ),
            id="limits-on-requests",
        ),
        pytest.param(
            "{http: {http1MaxPendingRequests: 0, http2MaxRequests: 0, maxRetries: 0}}",
            ConnectionPool(),
            id="0-limits-no-requests",
        ),
    ],
)
def test_connection_pools(load_yaml: Load, settings: str, expected: ConnectionPool) -> None:
    """Limits, of which 0 is none, and times."""
    target = target_of(load_yaml, entry() + rule(trafficPolicy=f"{{connectionPool: {settings}}}"))

    assert target.pool == expected


@pytest.mark.parametrize("text", [entry(), entry() + rule(trafficPolicy="{tls: {mode: SIMPLE}}")])
def test_without_blocks(load_yaml: Load, text: str) -> None:
    """Istio's defaults: connecting takes 10 s at most, idle connections stay for an hour."""
    target = target_of(load_yaml, text)

    assert (target.pool, target.balancing) == (ConnectionPool(10.0, 3600.0), LoadBalancing())
    assert (target.outlier, target.panic_threshold) == (None, 0)
