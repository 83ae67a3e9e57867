"""From ServiceEntries, LLMProviders and DestinationRules to targets: what Istio generates as clusters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from llm_fallback.config.collection import Collection
from llm_fallback.config.compile.policies import GENERATED_TLS, HostRule, Policy, Rules
from llm_fallback.config.compile.settings import balancing, outlier_policy, pool, tls
from llm_fallback.config.snapshot import Provider, ProviderConfig, Service, Target
from llm_fallback.config.validate import Written
from llm_fallback.outlier import Endpoint
from llm_fallback.resources import LLMProvider, ServiceEntry
from llm_fallback.resources.destinationrule import TlsMode
from llm_fallback.resources.llmprovider import PROVIDER_PORT
from llm_fallback.resources.llmprovider import ProviderConfig as WrittenConfig
from llm_fallback.resources.serviceentry import (
    Resolution,
    ServiceEntrySpec,
    ServicePort,
)

_PROVIDER_TLS_PORT = 443
_NO_LABELS: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Port:
    """A port of a host: where its endpoints are, and what is known of them."""

    number: int
    endpoints: tuple[Endpoint, ...]
    labels: tuple[dict[str, str], ...]
    weights: tuple[int, ...] = ()
    per_address: bool = False
    client_tls: bool = False
    alt_names: tuple[str, ...] = ()

    def of(self, labels: dict[str, str]) -> "_Port":
        """The port with the endpoints that bear the labels."""
        chosen = [i for i, own in enumerate(self.labels) if labels.items() <= own.items()]
        return _Port(
            self.number,
            tuple(self.endpoints[i] for i in chosen),
            tuple(self.labels[i] for i in chosen),
            tuple(self.weights[i] for i in chosen) if self.weights else (),
            self.per_address,
            self.client_tls,
            self.alt_names,
        )


def services(collection: Collection, workload: dict[str, str] | None) -> dict[str, Service]:
    """The services of every host that a ServiceEntry or an LLMProvider describes."""
    providers = {
        written.resource.spec.host: _provider(written.resource)
        for written in collection.providers
        if _selects(written.resource, workload)
    }
    rules = Rules(collection, workload)
    return {
        host: _service(host, ports, rules.of_host(host), providers.get(host), tuple(places))
        for host, ports, places in _ports_by_host(collection, rules)
    }


def _selects(provider: LLMProvider, workload: dict[str, str] | None) -> bool:
    wanted = provider.spec.workload_selector.labels
    return workload is None or wanted.items() <= workload.items()


def _ports_by_host(collection: Collection, rules: Rules) -> Iterator[tuple[str, list[_Port], list[str]]]:
    """Each host, its ports, and the places of the resources that describe it."""
    owners = collection.provider_of
    described: set[str] = set()
    for host, entries in collection.entries_of.items():
        ports = [_entry_port(host, entry.resource.spec, port) for entry in entries for port in _spoken(entry)]
        if ports and not host.startswith("*"):
            described.add(host)
            owner = [owners[host].place] if host in owners else []
            yield host, ports, [*owner, *(entry.place for entry in entries)]
    for provider in collection.providers:
        host = provider.resource.spec.host
        if host not in described:
            described.add(host)
            yield host, [_provider_port(host, rules.of_host(host))], [provider.place]


def _spoken(entry: Written[ServiceEntry]) -> Iterator[ServicePort]:
    return (port for port in entry.resource.spec.ports if port.protocol.is_http or port.protocol.is_tls)


def _entry_port(host: str, entry: ServiceEntrySpec, port: ServicePort) -> _Port:
    dialled = port.target_port or port.number
    endpoints = tuple(Endpoint(e.address, e.ports.get(port.name, dialled)) for e in entry.endpoints)
    labels = tuple(e.labels for e in entry.endpoints)
    weights = tuple(e.weight or 1 for e in entry.endpoints)
    if not endpoints and entry.resolution is not Resolution.STATIC:
        endpoints, labels = (Endpoint(host, dialled),), (_NO_LABELS,)
    return _Port(
        port.number,
        endpoints,
        labels,
        weights if len(set(weights)) > 1 else (),
        per_address=entry.resolution is Resolution.DNS,
        # A client's own TLS ends in this proxy, so it has to begin again on the other side.
        client_tls=port.protocol.is_tls,
        alt_names=tuple(entry.subject_alt_names),
    )


def _provider_port(host: str, rule: HostRule) -> _Port:
    """The one logical endpoint of a provider that no ServiceEntry describes."""
    settings = rule.of(PROVIDER_PORT, None).tls
    plain = settings is not None and settings.mode is TlsMode.DISABLE
    endpoint = Endpoint(host, PROVIDER_PORT if plain else _PROVIDER_TLS_PORT)
    return _Port(PROVIDER_PORT, (endpoint,), (_NO_LABELS,))


def _service(
    host: str, ports: Iterable[_Port], rule: HostRule, provider: Provider | None, places: tuple[str, ...]
) -> Service:
    sources = (*places, *rule.places)
    targets: dict[tuple[int, str | None], Target] = {}
    for port in ports:
        general = _target(host, port, None, rule.of(port.number, None), provider)
        targets[port.number, None] = replace(general, sources=sources)
        for name, subset in (rule.subsets or {}).items():
            policy = rule.of(port.number, name)
            target = _target(host, port.of(subset.labels), name, policy, provider)
            targets[port.number, name] = replace(target, sources=sources)
    return Service(host, targets)


def _target(host: str, port: _Port, subset: str | None, policy: Policy, provider: Provider | None) -> Target:
    settings = policy.tls or (GENERATED_TLS if port.client_tls else None)
    outlier = policy.outlier_detection
    return Target(
        host,
        port.number,
        port.endpoints,
        subset=subset,
        weights=port.weights,
        per_address=port.per_address,
        tls=tls(host, settings, port.alt_names),
        outlier=outlier_policy(outlier) if outlier else None,
        panic_threshold=outlier.min_health_percent if outlier else 0,
        balancing=balancing(policy.load_balancer),
        pool=pool(policy.connection_pool),
        provider=provider,
    )


def _provider(provider: LLMProvider) -> Provider:
    configs = provider.spec.configs
    by_rule = {rule: _config(config) for rule, config in configs.route_specific_configs.items()}
    return Provider(provider.metadata.name, provider.spec.path, _config(configs.default_config), by_rule)


def _config(written: WrittenConfig) -> ProviderConfig:
    config = written.open_ai_config
    return ProviderConfig(config.model, config.stream, config.api_key)
