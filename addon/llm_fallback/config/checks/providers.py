"""Whether the settings of LLMProviders reach the requests they are for."""

from collections import defaultdict
from collections.abc import Iterator

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.checks.names import did_you_mean
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.snapshot import CHAT_COMPLETIONS
from llm_fallback.resources import LLMProvider
from llm_fallback.resources.httpheaders import Headers
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.llmprovider import PROVIDER_PORT
from llm_fallback.resources.virtualservice import Destination

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
            numbers = [port.number for port in spec.ports]
            if not provider or not target or PROVIDER_PORT not in numbers or target.tls is None:
                continue
            if any(endpoint.port == PROVIDER_PORT for endpoint in target.endpoints):
                name = provider.document.name
                yield written.finding(
                    ("spec", "ports", numbers.index(PROVIDER_PORT)),
                    f"leads to port {PROVIDER_PORT}, and requests to {name} are sent with TLS",
                    "add targetPort: 443, or whichever port speaks TLS there",
                    Code.PLAIN_PORT,
                    Severity.WARNING,
                )


def keys_come_last(configuration: Configuration) -> Iterator[Finding]:
    """A provider's key stands in Authorization, whatever rules say of it."""
    for written in configuration.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            here: Path = ("spec", "http", index)
            keys = [_key_of(configuration, entry.destination) for entry in rule.route]
            places = [
                ((*here, "route", j, "headers"), entry.headers, keys[j]) for j, entry in enumerate(rule.route)
            ]
            # What a rule writes goes along to a fallback; what a destination writes does not.
            keys += [_key_of(configuration, e.fallback.target) for e in rule.route if e.fallback]
            if all(keys):
                places += [((*here, "headers"), rule.headers, key) for key in keys[:1]]
            for path, headers, key in places:
                for field in _authorizations(headers) if key else ():
                    problem = f"has no effect: the apiKey of {key} is sent instead"
                    yield written.finding(
                        (*path, *field), problem, "remove it", Code.NO_EFFECT, Severity.WARNING
                    )


def chats_stay_chats(configuration: Configuration) -> Iterator[Finding]:
    """The provider's `model` is set on its chat path, and a rewritten path may be another."""
    paths = {written.resource.spec.path for written in configuration.collection.providers} | {"/"}
    for written in configuration.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            uri = rule.rewrite.uri if rule.rewrite else ""
            if not uri or uri in paths or uri.endswith(CHAT_COMPLETIONS):
                continue
            if not rule.match or not all(map(_asks_for_a_chat, rule.match)):
                continue  # which path it will be depends on the request's
            owners = (configuration.collection.provider_of.get(e.destination.host) for e in rule.route)
            owner = next((owner for owner in owners if owner and _sets_a_model(owner.resource)), None)
            if owner:
                hint = f"write a path that ends in {CHAT_COMPLETIONS}"
                if owner.resource.spec.path:
                    hint = "remove it: the path of the provider stands in requests without it"
                problem = f"is no path for chats: the model of {owner.document.name} is not set in them"
                path = ("spec", "http", index, "rewrite", "uri")
                yield written.finding(path, problem, hint, Code.NO_EFFECT, Severity.WARNING)


def _sets_a_model(provider: LLMProvider) -> bool:
    return provider.spec.configs.default_config.open_ai_config.model is not None


def _key_of(configuration: Configuration, destination: Destination) -> str | None:
    """The LLMProvider whose key goes with all requests to a destination."""
    targets = configuration.targets(destination)
    if not targets or not all(target.provider and target.provider.default.api_key for target in targets):
        return None
    return configuration.collection.provider_of[destination.host].document.name


def _authorizations(headers: Headers) -> Iterator[Path]:
    for what, names in (("set", headers.request.set), ("add", headers.request.add)):
        yield from (("request", what, name) for name in names if name.lower() == "authorization")


def _asks_for_a_chat(entry: HTTPMatchRequest) -> bool:
    """Whether all its requests are chats, and the whole of their path is what rewriting replaces."""
    uri = entry.uri
    if uri is None:
        return False
    return any(text is not None and text.endswith(CHAT_COMPLETIONS) for text in (uri.exact, uri.prefix))


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
