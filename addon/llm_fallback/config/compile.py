"""From checked resources to the Snapshot: what the mesh's control plane would generate from them."""

from collections.abc import Iterable

from llm_fallback.config.collection import Collection
from llm_fallback.config.snapshot import (
    HostPort,
    Provider,
    Route,
    RouteDestination,
    Service,
    Snapshot,
    Target,
    Tls,
)
from llm_fallback.config.validate import Written
from llm_fallback.outlier import Endpoint, OutlierPolicy
from llm_fallback.resources import DestinationRule, LLMProvider, VirtualService
from llm_fallback.resources.destinationrule import (
    NO_POLICY,
    ClientTlsSettings,
    OutlierDetection,
    PortTrafficPolicy,
    TlsMode,
    TrafficPolicy,
)
from llm_fallback.resources.llmprovider import PROVIDER_PORT
from llm_fallback.resources.serviceentry import Protocol, Resolution, ServiceEntrySpec, ServicePort
from llm_fallback.resources.virtualservice import Destination, HTTPRouteDestination

_PROVIDER_TLS_PORT = 443
_GENERATED_TLS = ClientTlsSettings(mode=TlsMode.SIMPLE)
_GENERATED_POLICY = TrafficPolicy(
    portLevelSettings=[
        PortTrafficPolicy.model_validate({"port": {"number": PROVIDER_PORT}, "tls": _GENERATED_TLS})
    ]
)


def build(collection: Collection, workload: dict[str, str] | None = None) -> Snapshot:
    """The snapshot of resources in which the checks found no error.

    `workload` holds the labels of the workload that the proxy stands for; None stands for all of them.
    """
    providers = {
        written.resource.spec.host: written.resource
        for written in collection.providers
        if _selects(written.resource, workload)
    }
    rules = _first_by_host(collection.destination_rules)
    entries = {
        host: written.resource.spec
        for written in collection.service_entries
        for host in written.resource.spec.hosts
    }
    hosts = [
        *entries,
        *(w.resource.spec.host for w in collection.providers if w.resource.spec.host not in entries),
    ]
    owners = {written.resource.spec.host: written.resource for written in collection.providers}
    services = {
        host: _service(
            host, entries.get(host), _policy(rules.get(host), owners.get(host)), providers.get(host)
        )
        for host in hosts
    }
    routes = {host: _own_route(host) for host in hosts}
    routes.update(_routes(collection.virtual_services))
    return Snapshot(services, routes)


def _selects(provider: LLMProvider, workload: dict[str, str] | None) -> bool:
    wanted = provider.spec.workload_selector.labels
    return workload is None or wanted.items() <= workload.items()


def _first_by_host(rules: Iterable[Written[DestinationRule]]) -> dict[str, TrafficPolicy]:
    found: dict[str, TrafficPolicy] = {}
    for written in rules:
        if policy := written.resource.spec.traffic_policy:
            found.setdefault(written.resource.spec.host, policy)
    return found


def _policy(rule: TrafficPolicy | None, owner: LLMProvider | None) -> TrafficPolicy:
    if owner and not (rule and owner.has_custom_destination_rule):
        return _GENERATED_POLICY
    return rule or NO_POLICY


def _service(
    host: str, entry: ServiceEntrySpec | None, policy: TrafficPolicy, provider: LLMProvider | None
) -> Service:
    config = _provider(provider) if provider else None
    if entry is None:
        return Service(host, {PROVIDER_PORT: _provider_target(host, policy, config)})
    return Service(
        host, {port.number: _entry_target(host, entry, port, policy, config) for port in entry.ports}
    )


def _provider(provider: LLMProvider) -> Provider:
    config = provider.spec.configs.default_config.open_ai_config
    return Provider(provider.metadata.name, provider.spec.path, config.model, config.stream, config.api_key)


def _provider_target(host: str, policy: TrafficPolicy, provider: Provider | None) -> Target:
    """The one logical endpoint of a provider that no ServiceEntry describes."""
    settings, _ = _of_port(policy, PROVIDER_PORT)
    plain = settings is not None and settings.mode is TlsMode.DISABLE
    endpoint = Endpoint(host, PROVIDER_PORT if plain else _PROVIDER_TLS_PORT)
    return _target(host, PROVIDER_PORT, (endpoint,), policy, provider)


def _entry_target(
    host: str, entry: ServiceEntrySpec, port: ServicePort, policy: TrafficPolicy, provider: Provider | None
) -> Target:
    dialled = port.target_port or port.number
    if entry.endpoints:
        endpoints = tuple(Endpoint(e.address, e.ports.get(port.name, dialled)) for e in entry.endpoints)
    else:
        endpoints = (Endpoint(host, dialled),)
    return _target(
        host,
        port.number,
        endpoints,
        policy,
        provider,
        per_address=entry.resolution is Resolution.DNS,
        # A client's own TLS ends in this proxy, so it has to begin again on the other side.
        client_tls=port.protocol in (Protocol.HTTPS, Protocol.TLS),
        alt_names=tuple(entry.subject_alt_names),
    )


def _target(  # noqa: PLR0913 - the sources of a target's settings
    host: str,
    port: int,
    endpoints: tuple[Endpoint, ...],
    policy: TrafficPolicy,
    provider: Provider | None,
    *,
    per_address: bool = False,
    client_tls: bool = False,
    alt_names: tuple[str, ...] = (),
) -> Target:
    settings, outlier = _of_port(policy, port)
    if settings is None and client_tls:
        settings = _GENERATED_TLS
    return Target(
        host,
        port,
        endpoints,
        per_address=per_address,
        tls=_tls(host, settings, alt_names),
        outlier=_outlier(outlier) if outlier else None,
        panic_threshold=outlier.min_health_percent if outlier else 0,
        provider=provider,
    )


def _of_port(policy: TrafficPolicy, port: int) -> tuple[ClientTlsSettings | None, OutlierDetection | None]:
    """What stands for a port: its own entry replaces the rule's policy whole (Istio's portLevelSettings)."""
    for entry in policy.port_level_settings:
        if entry.port.number == port:
            return entry.tls, entry.outlier_detection
    return policy.tls, policy.outlier_detection


def _tls(host: str, settings: ClientTlsSettings | None, alt_names: tuple[str, ...]) -> Tls | None:
    if settings is None or settings.mode is TlsMode.DISABLE:
        return None
    ca_file = settings.ca_certificates
    return Tls(
        sni=settings.sni or host,
        names=tuple(settings.subject_alt_names) or alt_names or (host,),
        ca_file=None if ca_file == "system" else ca_file,
        verify=not settings.insecure_skip_verify,
    )


def _outlier(settings: OutlierDetection) -> OutlierPolicy:
    defaults = OutlierPolicy()
    return OutlierPolicy(
        consecutive_5xx=settings.consecutive_5xx_errors,
        consecutive_gateway=settings.consecutive_gateway_errors,
        split_local_origin=settings.split_external_local_origin_errors,
        # 0 and unset are the same to Istio's converter here and for the percentage: Envoy's default.
        consecutive_local_origin=settings.consecutive_local_origin_failures
        or defaults.consecutive_local_origin,
        interval_s=settings.interval / 1000,
        base_ejection_s=settings.base_ejection_time / 1000,
        max_ejection_percent=settings.max_ejection_percent or defaults.max_ejection_percent,
    )


def _own_route(host: str) -> Route:
    """The route of a host that no VirtualService names; Istio calls it `default` as well."""
    return Route("default", "generated", (RouteDestination(HostPort(host)),))


def _routes(services: Iterable[Written[VirtualService]]) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    for written in services:
        rule = written.resource.spec.http[0]  # it has no match, so it takes every request
        name = rule.name or written.resource.metadata.name
        source = (
            f"{written.document.file}:{written.document.line(('spec', 'http', 0))} {written.document.name}"
        )
        route = Route(name, source, _destinations(rule.route))
        for host in written.resource.spec.hosts:
            routes.setdefault(host, route)
    return routes


def _destinations(entries: list[HTTPRouteDestination]) -> tuple[RouteDestination, ...]:
    """The destinations that get a share; a single one gets everything, whatever its weight."""
    return tuple(
        RouteDestination(
            _host_port(entry.destination),
            entry.weight or 1,
            _host_port(entry.fallback.target) if entry.fallback else None,
        )
        for entry in entries
        if entry.weight or len(entries) == 1
    )


def _host_port(destination: Destination) -> HostPort:
    return HostPort(destination.host, destination.port.number if destination.port else None)
