"""Whether the hosts, ports and subsets that resources name exist."""

from collections.abc import Iterator
from typing import Any

from llm_fallback.addresses import is_address
from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.checks.names import did_you_mean
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources import VirtualService
from llm_fallback.resources.llmfallbackpolicy import ChainLink
from llm_fallback.resources.names import patterns_around
from llm_fallback.resources.virtualservice import Destination

_NO_HOST = "no LLMProvider or ServiceEntry has this host"
_GET_503 = "requests to it get 503"
_NEVER_USED = "it is never used"
_NO_COPIES = "no copies are sent"


def destinations_exist(configuration: Configuration) -> Iterator[Finding]:
    """Every host, port and subset that a rule names exists; the mesh answers 503 for one that does not."""
    for written in configuration.virtual_services:
        for path, destination, consequence in _destinations(written.resource):
            for field, problem, hint, code in _missing(configuration, destination):
                said = f"{problem}: {consequence}"
                yield written.finding((*path, *field), said, hint, code, Severity.WARNING)


def links_exist(configuration: Configuration) -> Iterator[Finding]:
    """Every host, port and subset in the chain of a policy exists: the policy is ours, and not the mesh's."""
    for written in configuration.collection.policies:
        for index, link in enumerate(written.resource.spec.chain):
            for field, problem, hint, code in _missing(configuration, link):
                yield written.finding(("spec", "chain", index, *field), problem, hint, code)


def backends_exist(configuration: Configuration) -> Iterator[Finding]:
    """Every provider that an LLMRoute names exists."""
    for written in configuration.llm_routes:
        for i, rule in enumerate(written.resource.spec.rules):
            for j, backend in enumerate(rule.backend_refs):
                if not configuration.is_known(backend.provider_host):
                    yield written.finding(
                        ("spec", "rules", i, "backendRefs", j, "providerHost"),
                        f"{_NO_HOST}: {_GET_503}",
                        configuration.hosts.hint(backend.provider_host, "add one, or correct the name"),
                        Code.UNKNOWN_HOST,
                        Severity.WARNING,
                    )


def ruled_hosts_are_meant(configuration: Configuration) -> Iterator[Finding]:
    """A host that nothing describes and that has rules is an alias, unless it looks like a slip."""
    named: list[tuple[Written[Any], Path, str]] = [
        (written, ("spec", "hosts", index), host)
        for written in configuration.virtual_services
        for index, host in enumerate(written.resource.spec.hosts)
        if not host.startswith("*")
    ]
    named += [(w, ("spec", "host"), w.resource.spec.host) for w in configuration.llm_routes]
    for written, path, host in named:
        if not configuration.is_known(host) and (hint := configuration.hosts.hint(host)):
            yield written.finding(path, _NO_HOST, hint, Code.UNKNOWN_HOST, Severity.WARNING)


def names_are_whole(configuration: Configuration) -> Iterator[Finding]:
    """In the mesh, a name without a dot is short for that of a service in the namespace."""
    for written in configuration.virtual_services:
        spec = written.resource.spec
        if not any(configuration.is_known(e.destination.host) for rule in spec.http for e in rule.route):
            continue  # of a cluster's services, which are not here
        for index, host in enumerate(spec.hosts):
            if "." not in host and not is_address(host):
                yield written.finding(
                    ("spec", "hosts", index),
                    "is managed by this name only: requests to a longer one of the service are passed"
                    " through as they are",
                    "write the name that clients call",
                    Code.NOT_MANAGED,
                    Severity.INFO,
                )


def policies_have_a_host(configuration: Configuration) -> Iterator[Finding]:
    """A DestinationRule acts on a host that something describes; a wildcard, on one host at least."""
    patterns: set[str] | None = None
    for written in configuration.collection.destination_rules:
        host = written.resource.spec.host
        if configuration.is_known(host):
            continue
        if host.startswith("*"):
            patterns = _patterns(configuration) if patterns is None else patterns
            if host in patterns:
                continue
        yield written.finding(
            ("spec", "host"),
            f"has no effect: {_NO_HOST}",
            configuration.hosts.hint(host, "correct the name, or remove the rule"),
            Code.UNKNOWN_HOST,
            Severity.WARNING,
        )


def policies_have_a_port(configuration: Configuration) -> Iterator[Finding]:
    """An entry of portLevelSettings acts on a port that the host has."""
    for written_policy in configuration.policies:
        hosts = configuration.hosts_under(written_policy.policy)
        entries = written_policy.policy.port_level_settings
        if not hosts or not entries:
            continue
        ports = {port for host in hosts for port, _ in configuration.services[host].targets}
        for index, entry in enumerate(entries):
            if entry.port.number not in ports:
                yield written_policy.rule.finding(
                    (*written_policy.path, "portLevelSettings", index, "port", "number"),
                    "has no effect: the host has no such port",
                    _it_has(ports),
                    Code.UNKNOWN_PORT,
                    Severity.WARNING,
                )


def _missing(
    configuration: Configuration, destination: Destination | ChainLink
) -> Iterator[tuple[Path, str, str, Code]]:
    """What of a destination does not exist: the field, what is wrong with it, a hint, and a code."""
    host, subset = destination.host, destination.subset
    if host in configuration.collection.broken_hosts:
        return
    if host not in configuration.services:
        hint = configuration.hosts.hint(host, "add one, or correct the name")
        yield ("host",), _NO_HOST, hint, Code.UNKNOWN_HOST
        return
    ports = {port for port, _ in configuration.services[host].targets}
    if destination.port and destination.port.number not in ports:
        yield ("port", "number"), "the host has no such port", _it_has(ports), Code.UNKNOWN_PORT
    if not subset or host in configuration.collection.broken_rule_hosts:
        return
    subsets = configuration.rules.of_host(host).subsets or {}
    if subset not in subsets:
        problem = "no DestinationRule that counts for the host has this subset"
        hint = did_you_mean(subset, list(subsets)[:100]) or "add it there under subsets, or correct the name"
        yield ("subset",), problem, hint, Code.UNKNOWN_SUBSET


def _destinations(service: VirtualService) -> Iterator[tuple[Path, Destination, str]]:
    """Where it is named, what it is, and what follows if it does not exist."""
    for i, rule in enumerate(service.spec.http):
        here: Path = ("spec", "http", i)
        for j, entry in enumerate(rule.route):
            yield (*here, "route", j, "destination"), entry.destination, _GET_503
            if entry.fallback:
                yield (*here, "route", j, "fallback", "target"), entry.fallback.target, _NEVER_USED
        if rule.mirror:
            yield (*here, "mirror"), rule.mirror, _NO_COPIES
        for j, mirror in enumerate(rule.mirrors):
            yield (*here, "mirrors", j, "destination"), mirror.destination, _NO_COPIES


def _patterns(configuration: Configuration) -> set[str]:
    """Every wildcard under which there is a host, and the one for all."""
    hosts = (*configuration.services, *configuration.collection.broken_hosts)
    return {"*", *(pattern for host in hosts for pattern in patterns_around(host))}


def _it_has(ports: set[int]) -> str:
    if not ports:
        return "it has none with HTTP or TLS"
    return f"it has {', '.join(map(str, sorted(ports)))}"
