"""Envoy's static configuration as Istio generates it from mesh YAML (`mesh-semantics.md`, 5.4 to 7).

Four things are not Istio's, and are so for the sake of comparison:

- `update_merge_window` is 0: by default Envoy holds a second health change within a second back from the
  traffic, while the event log shows it at once. The addon ejects at once.
- Retries wait up to 100 ms where Istio has 0 to 25: an ejection crosses two threads inside Envoy, and a retry
  in that very millisecond would still hit the ejected endpoint.
- A client's connection that ends in the middle of an answer is closed after 50 ms instead of a second
  (`delayed_close_timeout`), which would let ejections end within the step.
- ASM's fallback does not exist in stock Envoy. The route to it is taken by requests with the header
  `FALLBACK_HEADER`; who sets it plays ASM's part.
"""

from collections.abc import Iterable

from tests.parity.mesh import Document, seconds

FALLBACK_HEADER = "x-parity-fallback"
_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"


def bootstrap(documents: Iterable[Document], *, event_log: str) -> Document:
    """The whole configuration; the ports of listener and admin interface are for the kernel to choose."""
    by_kind: dict[str, list[Document]] = {}
    for document in documents:
        by_kind.setdefault(document["kind"], []).append(document["spec"])
    rules = {spec["host"]: spec["trafficPolicy"] for spec in by_kind["DestinationRule"]}
    entries = {spec["hosts"][0]: spec for spec in by_kind["ServiceEntry"]}
    return {
        "admin": {"address": _address(0)},
        "cluster_manager": {"outlier_detection": {"event_log_path": event_log}},
        "static_resources": {
            "listeners": [_listener([_virtual_host(spec) for spec in by_kind["VirtualService"]])],
            "clusters": [_cluster(host, spec, rules[host]) for host, spec in entries.items()],
        },
    }


def cluster_name(host: str) -> str:
    """The name of a host's cluster (Istio's, but for the characters that separate parts of a statistic)."""
    return f"outbound_80_{host.replace('.', '_')}"


def _address(port: int) -> Document:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(virtual_hosts: list[Document]) -> Document:
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "parity",
        "delayed_close_timeout": "0.05s",
        "route_config": {"virtual_hosts": virtual_hosts},
        "http_filters": [router],
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"name": "proxy", "address": _address(0), "filter_chains": [{"filters": [http]}]}


def _virtual_host(spec: Document) -> Document:
    host = spec["hosts"][0]
    destination = spec["http"][0]["route"][0]
    routes = [_route({"prefix": "/"}, destination["destination"]["host"])]
    if fallback := destination.get("fallback"):
        chosen = {"name": FALLBACK_HEADER, "present_match": True}
        routes.insert(0, _route({"prefix": "/", "headers": [chosen]}, fallback["target"]["host"]))
    return {"name": host, "domains": [host], "include_request_attempt_count": True, "routes": routes}


def _route(match: Document, host: str) -> Document:
    previous_hosts = "envoy.retry_host_predicates.previous_hosts"
    predicate = {
        "name": previous_hosts,
        "typed_config": {"@type": f"{_EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
    }
    retry = {
        "num_retries": 2,
        "retry_on": _RETRY_ON,
        "retry_host_predicate": [predicate],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.1s"},
    }
    return {"match": match, "route": {"cluster": cluster_name(host), "timeout": "0s", "retry_policy": retry}}


def _cluster(host: str, entry: Document, policy: Document) -> Document:
    endpoints = [
        {"endpoint": {"address": _address(endpoint["ports"]["http"])}} for endpoint in entry["endpoints"]
    ]
    cluster: Document = {
        "name": cluster_name(host),
        "type": "STATIC",
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": cluster_name(host), "endpoints": [{"lb_endpoints": endpoints}]},
        "common_lb_config": {"update_merge_window": "0s"},
    }
    if (outlier := policy.get("outlierDetection")) is not None:
        cluster["outlier_detection"] = _outlier_detection(outlier)
        threshold = {"value": outlier.get("minHealthPercent", 0)}
        cluster["common_lb_config"]["healthy_panic_threshold"] = threshold
    return cluster


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
        found["split_external_local_origin_errors"] = True
        if local := settings.get("consecutiveLocalOriginFailures"):
            found |= {
                "consecutive_local_origin_failure": local,
                "enforcing_consecutive_local_origin_failure": 100,
            }
    found |= _times(settings)
    if percent := settings.get("maxEjectionPercent"):
        found["max_ejection_percent"] = percent
    return found


def _times(settings: Document) -> dict[str, str]:
    names = {"interval": "interval", "baseEjectionTime": "base_ejection_time"}
    return {ours: f"{seconds(settings[theirs]):g}s" for theirs, ours in names.items() if theirs in settings}
