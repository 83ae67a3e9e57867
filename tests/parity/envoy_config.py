"""Envoy's static configuration as Istio generates it from mesh YAML; `docs/parity.md` has the differences."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.parity.envoy_clusters import Rule, clusters
from tests.parity.envoy_fallback import ADMIN_CLUSTER, lua_filter
from tests.parity.envoy_names import EXTENSIONS, Document
from tests.parity.envoy_routes import virtual_host

DELAYED_CLOSE = "0.05s"
"""How long a client's connection stays after the end of an answer that broke; Envoy's default is a second,
which would let ejections end within the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What Envoy finds around it: files, the socket of its admin interface, the DNS server's port."""

    admin: str
    event_log: str
    ca_bundle: str
    dns_port: int


def bootstrap(documents: Iterable[Document], around: Surroundings) -> Document:
    """The whole configuration; the listener's port is for the kernel to choose."""
    by_kind: dict[str, list[Document]] = {}
    for document in documents:
        by_kind.setdefault(document["kind"], []).append(document["spec"])
    entries = {spec["hosts"][0]: spec for spec in by_kind["ServiceEntry"]}
    rules = {spec["host"]: Rule(spec) for spec in by_kind["DestinationRule"]}
    services = {spec["hosts"][0]: spec for spec in by_kind.get("VirtualService", [])}
    hosts = [virtual_host(host, services.get(host) or _without_service(host), rules) for host in entries]
    return {
        "admin": {"address": {"pipe": {"path": around.admin}}},
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"suffix": "membership_healthy"}]}}
        },
        "cluster_manager": {"outlier_detection": {"event_log_path": around.event_log}},
        "static_resources": {
            "listeners": [_listener(hosts)],
            "clusters": [
                _admin_cluster(around.admin),
                *(
                    cluster
                    for host, entry in entries.items()
                    for cluster in clusters(host, entry, rules[host], around.ca_bundle, around.dns_port)
                ),
            ],
        },
    }


def _without_service(host: str) -> Document:
    """What Istio routes by where there is no VirtualService."""
    return {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]}


def _listener(virtual_hosts: list[Document]) -> Document:
    names = {"fault": "fault.v3.HTTPFault", "cors": "cors.v3.Cors", "router": "router.v3.Router"}
    filters = [
        {
            "name": f"envoy.filters.http.{name}",
            "typed_config": {"@type": f"{EXTENSIONS}.filters.http.{message}"},
        }
        for name, message in names.items()
    ]
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "parity",
        "delayed_close_timeout": DELAYED_CLOSE,
        "normalize_path": True,  # Istio's default
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "route_config": {"virtual_hosts": virtual_hosts, "validate_clusters": False},
        "http_filters": [lua_filter(), *filters],
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    return {"name": "proxy", "address": address, "filter_chains": [{"filters": [http]}]}


def _admin_cluster(path: str) -> Document:
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    assignment = {"cluster_name": ADMIN_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": ADMIN_CLUSTER, "type": "STATIC", "load_assignment": assignment}
