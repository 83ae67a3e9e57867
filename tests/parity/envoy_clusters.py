"""Clusters: what Istio's cluster_traffic_policy.go and cluster_tls.go make of a DestinationRule."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.parity.envoy_names import EXTENSIONS, PORT, Document, cluster_name, duration

_BLOCKS = ("connectionPool", "loadBalancer", "outlierDetection", "tls")
_UNLIMITED = 2**32 - 1
_DNS_REFRESH = "0.2s"  # Istio's is 60 s
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True, slots=True)
class Rule:
    """A DestinationRule."""

    spec: Document

    def policy(self, subset: str | None) -> Document:
        """The trafficPolicy for port and subset: a port's entry replaces, a subset's blocks override."""
        policy = _for_port(self.spec.get("trafficPolicy", {}))
        named = [found for found in self.spec.get("subsets", []) if found["name"] == subset]
        own: Document = named[0].get("trafficPolicy", {}) if named else {}
        merged = policy | {name: own[name] for name in _BLOCKS if name in own}
        return _for_port(merged | {"portLevelSettings": own.get("portLevelSettings", [])})

    def hash_policy(self, subset: str | None) -> Document | None:
        """What of a request chooses the endpoint (Istio's `consistentHashToHashPolicy`)."""
        said = self.policy(subset).get("loadBalancer", {}).get("consistentHash", {})
        if "httpHeaderName" in said:
            return {"header": {"header_name": said["httpHeaderName"]}}
        if cookie := said.get("httpCookie"):
            ttl = {"ttl": duration(cookie["ttl"])} if "ttl" in cookie else {}
            return {"cookie": {name: cookie[name] for name in ("name", "path") if name in cookie} | ttl}
        if said.get("useSourceIp"):
            return {"connection_properties": {"source_ip": True}}
        if "httpQueryParameterName" in said:
            return {"query_parameter": {"name": said["httpQueryParameterName"]}}
        return None


def clusters(host: str, entry: Document, rule: Rule, ca_bundle: str, dns_port: int) -> Iterator[Document]:
    """The cluster of a host, and of each of its subsets."""
    for subset in [None, *rule.spec.get("subsets", [])]:
        name = subset["name"] if subset else None
        labels = (subset or {}).get("labels", {}).items()
        endpoints = [e for e in entry["endpoints"] if labels <= e.get("labels", {}).items()]
        policy = rule.policy(name)
        cluster = _cluster(cluster_name(host, name), endpoints, policy)
        if entry["resolution"] == "DNS":
            cluster |= _dns(dns_port)
        tls = policy.get("tls", {"mode": "DISABLE"})
        if tls["mode"] == "SIMPLE":
            cluster["transport_socket"] = _tls(tls, ca_bundle)
        if options := _http_options(policy, tls):
            explicit: Document = {"explicit_http_config": {"http_protocol_options": {}}}
            message = {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}"}
            cluster["typed_extension_protocol_options"] = {_HTTP_OPTIONS: message | explicit | options}
        yield cluster


def _for_port(policy: Document) -> Document:
    for entry in policy.get("portLevelSettings", []):
        if entry["port"]["number"] == PORT:
            return {name: entry[name] for name in _BLOCKS if name in entry}
    return policy


def _cluster(name: str, endpoints: list[Document], policy: Document) -> Document:
    pool = policy.get("connectionPool", {})
    cluster: Document = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": duration(pool.get("tcp", {}).get("connectTimeout", "10s")),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(endpoint) for endpoint in endpoints]}],
        },
        # Envoy's default of a second would hold a second change within a second back from the traffic.
        "common_lb_config": {"update_merge_window": "0s"},
        "circuit_breakers": {"thresholds": [_thresholds(pool)]},
        **_balancer(policy.get("loadBalancer", {})),
    }
    if (outlier := policy.get("outlierDetection")) is not None:
        cluster["outlier_detection"] = _outlier_detection(outlier)
        threshold = {"value": outlier.get("minHealthPercent", 0)}
        cluster["common_lb_config"]["healthy_panic_threshold"] = threshold
    return cluster


def _endpoint(endpoint: Document) -> Document:
    address = {"address": endpoint["address"], "port_value": endpoint["ports"]["http"]}
    found: Document = {"endpoint": {"address": {"socket_address": address}}}
    return found | ({"load_balancing_weight": endpoint["weight"]} if "weight" in endpoint else {})


def _dns(port: int) -> Document:
    resolver = {
        "@type": f"{EXTENSIONS}.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        "resolvers": [{"socket_address": {"address": "127.0.0.1", "port_value": port}}],
        "dns_resolver_options": {"no_default_search_domain": True},
    }
    return {
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_ONLY",
        "dns_refresh_rate": _DNS_REFRESH,
        "typed_dns_resolver_config": {"name": "envoy.network.dns_resolver.cares", "typed_config": resolver},
    }


def _thresholds(pool: Document) -> Document:
    http, tcp = pool.get("http", {}), pool.get("tcp", {})
    return {
        "max_connections": tcp.get("maxConnections") or _UNLIMITED,
        "max_pending_requests": http.get("http1MaxPendingRequests") or _UNLIMITED,
        "max_requests": http.get("http2MaxRequests") or _UNLIMITED,
        "max_retries": http.get("maxRetries") or _UNLIMITED,
        "track_remaining": True,
    }


def _balancer(balancer: Document) -> Document:
    hashing = balancer.get("consistentHash")
    if hashing is None:
        simple = balancer.get("simple", "LEAST_REQUEST")
        return {"lb_policy": "LEAST_REQUEST" if simple in ("LEAST_CONN", "UNSPECIFIED") else simple}
    if "maglev" in hashing:
        size = hashing["maglev"].get("tableSize")
        return {"lb_policy": "MAGLEV"} | ({"maglev_lb_config": {"table_size": size}} if size else {})
    default = {} if "ringHash" in hashing else {"minimumRingSize": hashing.get("minimumRingSize", 1024)}
    size = hashing.get("ringHash", default).get("minimumRingSize")
    return {"lb_policy": "RING_HASH"} | ({"ring_hash_lb_config": {"minimum_ring_size": size}} if size else {})


def _http_options(policy: Document, tls: Document) -> Document:
    pool = policy.get("connectionPool", {})
    http, tcp = pool.get("http", {}), pool.get("tcp", {})
    values = {
        "idle_timeout": http.get("idleTimeout", tcp.get("idleTimeout")),
        "max_requests_per_connection": http.get("maxRequestsPerConnection") or None,
        "max_connection_duration": tcp.get("maxConnectionDuration"),
    }
    found: Document = {}
    if common := {
        name: duration(value) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None
    }:
        found["common_http_protocol_options"] = common
    if tls["mode"] == "SIMPLE" and "sni" not in tls:
        checks_name = not ("subjectAltNames" in tls or tls.get("insecureSkipVerify"))
        checks = {"auto_san_validation": True} if checks_name else {}
        found["upstream_http_protocol_options"] = {"auto_sni": True} | checks
    if codes := policy.get("outlierDetection", {}).get("outlierDetectionHttpErrorCodes"):
        found["outlier_detection"] = {"error_matcher": _any_of(codes)}
    return found


def _any_of(codes: list[int]) -> Document:
    rules = [
        {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": str(c)}}]}}
        for c in codes
    ]
    return rules[0] if len(rules) == 1 else {"or_match": {"rules": rules}}


def _tls(tls: Document, ca_bundle: str) -> Document:
    context: Document = {"trusted_ca": {"filename": tls.get("caCertificates", ca_bundle)}}
    if names := tls.get("subjectAltNames"):
        matchers = [{"san_type": "DNS", "matcher": {"exact": name}} for name in names]
        context["match_typed_subject_alt_names"] = matchers
    common = {} if tls.get("insecureSkipVerify") else {"validation_context": context}
    message: Document = {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common,
    }
    if "sni" in tls:
        message["sni"] = tls["sni"]
    return {"name": "envoy.transport_sockets.tls", "typed_config": message}


def _outlier_detection(settings: Document) -> Document:
    """Istio's `applyOutlierDetection`: unset stays unset; 0 means off, or unset, as the table there says."""
    found: Document = {"enforcing_success_rate": 0}
    if (errors := settings.get("consecutive5xxErrors")) is not None:
        found |= {"consecutive_5xx": errors, "enforcing_consecutive_5xx": 100 if errors else 0}
    if (gateway := settings.get("consecutiveGatewayErrors")) is not None:
        enforcing = 100 if gateway else 0
        found |= {
            "consecutive_gateway_failure": gateway,
            "enforcing_consecutive_gateway_failure": enforcing,
        }
    if settings.get("splitExternalLocalOriginErrors"):
        found |= {"split_external_local_origin_errors": True, "enforcing_local_origin_success_rate": 0}
        if local := settings.get("consecutiveLocalOriginFailures"):
            found |= {
                "consecutive_local_origin_failure": local,
                "enforcing_consecutive_local_origin_failure": 100,
            }
    times = {"interval": "interval", "baseEjectionTime": "base_ejection_time"}
    found |= {ours: duration(settings[theirs]) for theirs, ours in times.items() if theirs in settings}
    if percent := settings.get("maxEjectionPercent"):
        found["max_ejection_percent"] = percent
    return found
