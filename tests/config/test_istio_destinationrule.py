"""A DestinationRule is judged as Istio judges it, by its own published cases."""

from typing import Any

import pytest

from tests.config.istio import Case, Spec, accepted, findings, judge, parameters, rejected, unsupported

SUBSETS = [{"name": "old", "labels": {"version": "1"}}, {"name": "new", "labels": {"version": "2"}}]
POLICY: Spec = {
    "loadBalancer": {"simple": "ROUND_ROBIN"},
    "connectionPool": {"tcp": {"maxConnections": 7}, "http": {"http2MaxRequests": 11}},
    "outlierDetection": {"minHealthPercent": 20},
}
FAULTY: Spec = {**POLICY, "connectionPool": {}}
PATH = "spec.trafficPolicy"


def rule(**fields: Any) -> Spec:
    return {"host": "stock.shop.test"} | fields


def policy(**fields: Any) -> Spec:
    return rule(trafficPolicy=fields)


def tls(mode: str, **fields: Any) -> Spec:
    return policy(tls={"mode": mode} | fields)


def pool(**fields: Any) -> Spec:
    return policy(connectionPool=fields)


def http(**fields: Any) -> Spec:
    return pool(http=fields)


def hashed(**fields: Any) -> Spec:
    return policy(loadBalancer={"consistentHash": fields})


def warmup(**fields: Any) -> Spec:
    return policy(loadBalancer={"warmup": fields})


def outlier(**fields: Any) -> Spec:
    return policy(outlierDetection=fields)


def tunnel(**fields: Any) -> Spec:
    return policy(tunnel={"protocol": "CONNECT", "targetHost": "a.test", "targetPort": 80} | fields)


PAIR = {"clientCertificate": "cert.pem", "privateKey": "key.pem"}
NAMES = {"subjectAltNames": ["stock.shop.svc"]}
SKIP = {"insecureSkipVerify": True}
LIMITS = {
    "http1MaxPendingRequests": 2,
    "http2MaxRequests": 11,
    "maxRequestsPerConnection": 5,
    "maxRetries": 4,
}

RULES: list[Case] = [
    *accepted(
        two_subsets=rule(subsets=SUBSETS),
        a_short_host=rule(host="stock", subsets=SUBSETS),
        every_host=rule(host="*", trafficPolicy=POLICY),
        hosts_of_a_domain=rule(host="*.shop.test", trafficPolicy=POLICY),
        a_selector_of_nothing=rule(subsets=SUBSETS, workloadSelector={}),
        a_policy=rule(trafficPolicy=POLICY, subsets=SUBSETS),
        a_policy_of_a_subset=rule(subsets=[{**SUBSETS[0], "trafficPolicy": POLICY}, SUBSETS[1]]),
        policies_of_both=rule(
            trafficPolicy=POLICY, subsets=[{**SUBSETS[0], "trafficPolicy": POLICY}, SUBSETS[1]]
        ),
        a_selector_and_its_own_namespace=rule(
            workloadSelector={"matchLabels": {"app": "web"}}, exportTo=["."]
        ),
        a_policy_of_a_port=policy(portLevelSettings=[{"port": {"number": 80}, **POLICY}]),
    ),
    *rejected("spec.host", no_name_of_a_host=rule(host="", subsets=SUBSETS)),
    *rejected("spec.host", no_host={"trafficPolicy": {"tls": {"mode": "SIMPLE"}}, "subsets": SUBSETS}),
    *rejected("spec.host", no_host_but_namespaces={"trafficPolicy": POLICY, "exportTo": ["a", "b"]}),
    *rejected(
        "spec.host",
        no_host_but_a_selector={"trafficPolicy": POLICY, "workloadSelector": {"matchLabels": {"a": "b"}}},
    ),
    *rejected("spec.subsets[0].name", no_name_of_a_subset=rule(subsets=[{**SUBSETS[0], "name": ""}])),
    *rejected("spec.subsets[1].name", the_same_subset_twice=rule(subsets=[SUBSETS[0], SUBSETS[0]])),
    *rejected(
        "spec.subsets[0].labels.*", a_label_that_is_none=rule(subsets=[{"name": "a", "labels": {"*": "b"}}])
    ),
    *rejected(f"{PATH}.connectionPool", an_empty_pool=rule(trafficPolicy=FAULTY, subsets=SUBSETS)),
    *rejected(
        "spec.subsets[0].trafficPolicy.connectionPool",
        an_empty_pool_of_a_subset=rule(subsets=[{**SUBSETS[0], "trafficPolicy": FAULTY}, SUBSETS[1]]),
    ),
    *rejected(
        "spec.exportTo",
        a_selector_and_another_namespace=rule(
            workloadSelector={"matchLabels": {"a": "b"}}, exportTo=["bank"]
        ),
    ),
    *rejected("spec.exportTo[1]", the_own_namespace_twice=rule(exportTo=["shop", "."])),
    *rejected(PATH, an_empty_policy=policy()),
    *rejected(f"{PATH}.portLevelSettings[0].port", a_policy_of_no_port=policy(portLevelSettings=[POLICY])),
    *rejected(
        f"{PATH}.portLevelSettings[0]",
        an_empty_policy_of_a_port=policy(portLevelSettings=[{"port": {"number": 80}}]),
    ),
    *unsupported(
        f"{PATH}.tunnel",
        a_tunnel=tunnel(),
        a_tunnel_by_post=tunnel(protocol="POST"),
        a_tunnel_to_an_address=tunnel(targetHost="192.168.1.2"),
        a_tunnel_to_an_address_of_six=tunnel(targetHost="2001:db8:1234::"),
        a_tunnel_by_another_protocol=tunnel(protocol="masque"),
        a_tunnel_to_a_wildcard=tunnel(targetHost="*.a.test"),
        a_tunnel_to_no_port=tunnel(targetPort=0),
        a_tunnel_without_protocol=policy(tunnel={"targetHost": "a.test", "targetPort": 80}),
        a_tunnel_without_host=policy(tunnel={"protocol": "CONNECT", "targetPort": 80}),
        a_tunnel_without_port=policy(tunnel={"protocol": "CONNECT", "targetHost": "a.test"}),
    ),
    *unsupported(
        "spec.subsets[0].trafficPolicy.tunnel",
        a_tunnel_of_a_subset=rule(
            subsets=[{"name": "a", "trafficPolicy": {"tunnel": {"protocol": "CONNECT"}}}]
        ),
        a_tunnel_of_a_subset_by_post=rule(
            subsets=[{"name": "a", "trafficPolicy": {"tunnel": {"protocol": "POST"}}}]
        ),
        a_tunnel_of_a_subset_by_another=rule(
            subsets=[{"name": "a", "trafficPolicy": {"tunnel": {"protocol": "masque"}}}]
        ),
    ),
    *unsupported(f"{PATH}.proxyProtocol", the_proxy_protocol=policy(proxyProtocol={"version": "V1"})),
    *unsupported(f"{PATH}.retryBudget", a_retry_budget=policy(retryBudget={"percent": 20})),
]

TLS: list[Case] = [
    *accepted(
        none=tls("DISABLE"),
        no_mode=policy(tls={}),
        simple=tls("SIMPLE", caCertificates="ca.pem", **NAMES),
        simple_verified=tls("SIMPLE", caCertificates="ca.pem", insecureSkipVerify=False, **NAMES),
        simple_unverified=tls("SIMPLE", **SKIP),
        mutual=tls("MUTUAL", caCertificates="ca.pem", **PAIR, **NAMES),
        mutual_verified=tls("MUTUAL", caCertificates="ca.pem", insecureSkipVerify=False, **PAIR, **NAMES),
        mutual_unverified=tls("MUTUAL", **PAIR, **SKIP),
    ),
    *rejected(
        f"{PATH}.tls.caCertificates",
        simple_authority_unverified=tls("SIMPLE", caCertificates="ca.pem", **SKIP),
    ),
    *rejected(
        f"{PATH}.tls.caCertificates",
        mutual_authority_unverified=tls("MUTUAL", caCertificates="ca.pem", **PAIR, **SKIP),
    ),
    *rejected(f"{PATH}.tls.subjectAltNames", simple_names_unverified=tls("SIMPLE", **NAMES, **SKIP)),
    *rejected(f"{PATH}.tls.subjectAltNames", mutual_names_unverified=tls("MUTUAL", **PAIR, **NAMES, **SKIP)),
    *rejected(
        f"{PATH}.tls.clientCertificate", mutual_without_certificate=tls("MUTUAL", privateKey="key.pem")
    ),
    *rejected(f"{PATH}.tls.privateKey", mutual_without_key=tls("MUTUAL", clientCertificate="cert.pem")),
    *rejected(f"{PATH}.tls.mode", a_mode_that_is_none=tls("simple")),
    *unsupported(
        f"{PATH}.tls.credentialName",
        simple_by_secret=tls("SIMPLE", credentialName="a", **NAMES),
        simple_by_secret_verified=tls("SIMPLE", credentialName="a", insecureSkipVerify=False, **NAMES),
        simple_by_secret_unverified=tls("SIMPLE", credentialName="a", **SKIP),
        mutual_by_secret=tls("MUTUAL", credentialName="a", **NAMES),
        mutual_by_secret_verified=tls("MUTUAL", credentialName="a", insecureSkipVerify=False, **NAMES),
        mutual_by_secret_unverified=tls("MUTUAL", credentialName="a", **SKIP),
    ),
    *unsupported(f"{PATH}.tls.mode", by_the_mesh=tls("ISTIO_MUTUAL")),
    *unsupported(f"{PATH}.tls.caCrl", a_revocation_list=tls("SIMPLE", caCrl="crl.pem")),
]

POOLS: list[Case] = [
    *accepted(
        both_pools=pool(
            tcp={"maxConnections": 7, "connectTimeout": "2s"},
            http={**LIMITS, "idleTimeout": "30s", "maxConcurrentStreams": 5},
        ),
        connections_only=pool(tcp={"maxConnections": 7, "connectTimeout": "2s"}),
        requests_only=http(**LIMITS, idleTimeout="30s", maxConcurrentStreams=5),
        requests_without_idle_time=http(**LIMITS, maxConcurrentStreams=5),
        connections_idle_for_ever=pool(tcp={"idleTimeout": "0s"}),
        probes=pool(tcp={"tcpKeepalive": {"time": "7200s", "interval": "75s", "probes": 3}}),
        http2_probes=http(http2KeepAlive={"interval": "15s", "timeout": "5s"}),
    ),
    *rejected(f"{PATH}.connectionPool", no_pool=pool()),
    *rejected(f"{PATH}.connectionPool.http.http2KeepAlive", no_probes=http(http2KeepAlive="often")),
    *rejected(
        f"{PATH}.connectionPool.tcp.maxConnections", negative_connections=pool(tcp={"maxConnections": -1})
    ),
    *rejected(
        f"{PATH}.connectionPool.tcp.connectTimeout",
        a_connect_timeout_with_nanoseconds=pool(tcp={"connectTimeout": "2.000000005s"}),
    ),
    *rejected(
        f"{PATH}.connectionPool.tcp.maxConnectionDuration",
        connections_too_short=pool(tcp={"maxConnectionDuration": "500ns"}),
    ),
    *rejected(
        f"{PATH}.connectionPool.http.http1MaxPendingRequests",
        negative_pending=http(http1MaxPendingRequests=-1),
    ),
    *rejected(f"{PATH}.connectionPool.http.http2MaxRequests", negative_requests=http(http2MaxRequests=-1)),
    *rejected(
        f"{PATH}.connectionPool.http.maxRequestsPerConnection",
        negative_requests_each=http(maxRequestsPerConnection=-1),
    ),
    *rejected(f"{PATH}.connectionPool.http.maxRetries", negative_retries=http(maxRetries=-1)),
    *rejected(
        f"{PATH}.connectionPool.http.idleTimeout",
        an_idle_time_with_nanoseconds=http(idleTimeout="30.000000005s"),
    ),
    *rejected(
        f"{PATH}.connectionPool.http.maxConcurrentStreams", negative_streams=http(maxConcurrentStreams=-1)
    ),
    *rejected(
        f"{PATH}.connectionPool.http.useClientProtocol",
        two_protocols=http(h2UpgradePolicy="UPGRADE", useClientProtocol=True),
    ),
    *unsupported(
        f"{PATH}.connectionPool.http.h2UpgradePolicy", http2_to_endpoints=http(h2UpgradePolicy="UPGRADE")
    ),
]

BALANCERS: list[Case] = [
    *accepted(
        simple_balancing=policy(loadBalancer={"simple": "ROUND_ROBIN"}),
        by_cookie=hashed(minimumRingSize=1024, httpCookie={"name": "a", "ttl": "1h"}),
        by_cookie_of_the_session=hashed(httpCookie={"name": "a", "ttl": "0s"}),
        by_cookie_without_time=hashed(minimumRingSize=1024, httpCookie={"name": "a"}),
        by_header_and_table=hashed(httpHeaderName="a", maglev={"tableSize": 65537}),
        warming_up=warmup(duration="300s"),
        warming_up_from_a_share=warmup(duration="300s", minimumPercent=5.0),
        warming_up_steeply=warmup(duration="300s", minimumPercent=5.0, aggression=5.0),
        localities_left_alone=policy(loadBalancer={"localityLbSetting": {"enabled": False}}),
    ),
    *rejected(
        f"{PATH}.loadBalancer.consistentHash.httpCookie.name",
        a_cookie_without_name=hashed(httpCookie={"ttl": "1h"}),
    ),
    *rejected(
        f"{PATH}.loadBalancer.consistentHash.maglev.tableSize",
        a_table_that_is_no_prime=hashed(maglev={"tableSize": 1000}),
        a_table_of_one=hashed(maglev={"tableSize": 1}),
    ),
    *rejected(f"{PATH}.loadBalancer.consistentHash.maglev.tableSize", a_table_without_size=hashed(maglev={})),
    *rejected(
        f"{PATH}.loadBalancer.consistentHash.maglev.tableSize",
        a_table_too_large=hashed(maglev={"tableSize": 5000011}),
    ),
    # Istio passes it on; Envoy then refuses the cluster.
    *rejected(
        f"{PATH}.loadBalancer.consistentHash.ringHash.minimumRingSize",
        a_ring_too_large=hashed(ringHash={"minimumRingSize": 8388609}),
    ),
    *rejected(
        f"{PATH}.loadBalancer.consistentHash.minimumRingSize",
        a_ring_and_a_table=hashed(minimumRingSize=1, maglev={"tableSize": 2}),
    ),
    *rejected(
        f"{PATH}.loadBalancer.consistentHash.useSourceIp",
        two_keys=hashed(httpHeaderName="a", useSourceIp=True),
    ),
    *rejected(
        f"{PATH}.loadBalancer.consistentHash",
        two_ways=policy(loadBalancer={"simple": "RANDOM", "consistentHash": {}}),
    ),
    *rejected(
        f"{PATH}.loadBalancer.warmup.minimumPercent",
        more_than_all_at_first=warmup(duration="300s", minimumPercent=150.0),
    ),
    *rejected(f"{PATH}.loadBalancer.warmup.duration", warming_up_without_time=warmup(minimumPercent=5.0)),
    *rejected(
        f"{PATH}.loadBalancer.warmup.aggression", warming_up_backwards=warmup(duration="300s", aggression=0.3)
    ),
    *unsupported(
        f"{PATH}.loadBalancer.simple", passing_through=policy(loadBalancer={"simple": "PASSTHROUGH"})
    ),
    *rejected(
        f"{PATH}.loadBalancer.localityLbSetting.enabled",
        perhaps=policy(loadBalancer={"localityLbSetting": {"enabled": "maybe"}}),
    ),
    *unsupported(
        f"{PATH}.loadBalancer.localityLbSetting.failover",
        another_locality=policy(loadBalancer={"localityLbSetting": {"failover": [{"from": "a", "to": "b"}]}}),
    ),
    *unsupported(
        f"{PATH}.loadBalancer.localityLbSetting.distribute",
        several_localities=policy(
            loadBalancer={"localityLbSetting": {"distribute": [{"from": "a/*", "to": {"b": 100}}]}}
        ),
    ),
]

DETECTORS: list[Case] = [
    *accepted(
        a_detector=outlier(interval="2s", baseEjectionTime="2s", maxEjectionPercent=50),
        a_deprecated_threshold=outlier(consecutiveErrors=101),
        a_split_threshold=outlier(consecutiveLocalOriginFailures=10, splitExternalLocalOriginErrors=True),
        codes=outlier(outlierDetectionHttpErrorCodes=[429, 503]),
    ),
    *rejected(
        f"{PATH}.outlierDetection.interval", an_interval_with_nanoseconds=outlier(interval="2.000000005s")
    ),
    *rejected(
        f"{PATH}.outlierDetection.baseEjectionTime",
        an_ejection_with_nanoseconds=outlier(baseEjectionTime="2.000000005s"),
    ),
    *rejected(
        f"{PATH}.outlierDetection.maxEjectionPercent", more_than_all_ejected=outlier(maxEjectionPercent=105)
    ),
    *rejected(
        f"{PATH}.outlierDetection.minHealthPercent",
        less_than_none_healthy=policy(**{**POLICY, "outlierDetection": {"minHealthPercent": -1}}),
        more_than_all_healthy=outlier(minHealthPercent=101),
    ),
    *rejected(
        f"{PATH}.outlierDetection.consecutiveLocalOriginFailures",
        a_threshold_without_split=outlier(consecutiveLocalOriginFailures=10),
    ),
    *rejected(
        f"{PATH}.outlierDetection.outlierDetectionHttpErrorCodes[1]",
        a_code_that_is_none=outlier(outlierDetectionHttpErrorCodes=[500, 600]),
    ),
]


@pytest.mark.parametrize("case", parameters(RULES, TLS, POOLS, BALANCERS, DETECTORS))
def test_destination_rules(case: Case) -> None:
    judge("DestinationRule", case)


def test_the_namespace_of_a_selector_may_be_named() -> None:
    """It is the rule's own, by whatever name."""
    spec = rule(workloadSelector={"matchLabels": {"a": "b"}}, exportTo=["bank"])

    assert findings("DestinationRule", spec, namespace="bank") == []
