"""Whether the settings of LLMProviders reach the requests they are for."""

from collections import defaultdict
from collections.abc import Iterator

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.checks.names import did_you_mean
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.resources.llmprovider import PROVIDER_PORT

_CONFIGS = ("spec", "configs", "routeSpecificConfigs")


def configs_have_a_rule(configuration: Configuration) -> Iterator[Finding]:
    """The key of a route-specific config is the name of an LLMRoute's rule that leads to the provider."""
    rules: dict[str, dict[str, None]] = defaultdict(dict)
    for written in configuration.llm_routes:
        for rule in written.resource.spec.rules:
            for backend in rule.backend_refs:
                rules[backend.provider_host][rule.name] = None
    for provider in configuration.collection.providers:
        spec = provider.resource.spec
        known = rules.get(spec.host, {})
        for name in spec.configs.route_specific_configs:
            if name not in known:
                yield provider.finding(
                    (*_CONFIGS, name),
                    "has no effect: no rule of this name, in any LLMRoute, leads to this provider",
                    did_you_mean(name, list(known)[:100]) or "name the rule like this key, or remove it",
                    Code.UNKNOWN_RULE,
                    Severity.WARNING,
                )


def entries_lead_to_a_tls_port(configuration: Configuration) -> Iterator[Finding]:
    """Requests to a provider are sent with TLS; port 80 of its ServiceEntry leads to 80 unless it says."""
    for written in configuration.collection.service_entries:
        spec = written.resource.spec
        for host in spec.hosts:
            provider = configuration.collection.provider_of.get(host)
            service = configuration.services.get(host)
            target = service.targets.get((PROVIDER_PORT, None)) if provider and service else None
            if not provider or not target or written.place not in target.sources or target.tls is None:
                continue
            if any(endpoint.port == PROVIDER_PORT for endpoint in target.endpoints):
                numbers = [port.number for port in spec.ports]
                name = provider.document.name
                yield written.finding(
                    ("spec", "ports", numbers.index(PROVIDER_PORT)),
                    f"leads to port {PROVIDER_PORT}, and requests to {name} are sent with TLS",
                    "add targetPort: 443, or whichever port speaks TLS there",
                    Code.PLAIN_PORT,
                    Severity.WARNING,
                )


def configs_keep_the_key(configuration: Configuration) -> Iterator[Finding]:
    """A route-specific config replaces the default one whole, its key included."""
    for provider in configuration.collection.providers:
        configs = provider.resource.spec.configs
        if configs.default_config.open_ai_config.api_key is None:
            continue
        for name, config in configs.route_specific_configs.items():
            if config.open_ai_config.api_key is None:
                yield provider.finding(
                    (*_CONFIGS, name),
                    "has no apiKey: it replaces defaultConfig whole, and the key there is not sent",
                    "repeat the apiKey here",
                    Code.NO_KEY,
                    Severity.WARNING,
                )
