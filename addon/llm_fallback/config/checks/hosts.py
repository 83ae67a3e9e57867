"""Whether the hosts and ports that resources name exist."""

import difflib
from collections.abc import Iterable, Iterator

from llm_fallback.config.collection import Collection
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Finding, Severity
from llm_fallback.resources import VirtualService
from llm_fallback.resources.destinationrule import NO_POLICY
from llm_fallback.resources.virtualservice import Destination


def destinations_exist(collection: Collection) -> Iterator[Finding]:
    """Every host and port that a route names is one of an LLMProvider or a ServiceEntry."""
    ports = collection.ports_of
    for written in collection.virtual_services:
        for path, destination in _destinations(written.resource):
            if destination.host in collection.broken_hosts:
                continue
            if destination.host not in ports:
                yield written.finding(
                    (*path, "host"),
                    "no LLMProvider or ServiceEntry has this host",
                    _did_you_mean(destination.host, ports) or "add one, or correct the name",
                    "unknown-host",
                )
            elif destination.port and destination.port.number not in ports[destination.host]:
                known = ", ".join(str(port) for port in sorted(ports[destination.host]))
                yield written.finding(
                    (*path, "port", "number"),
                    "the host has no such port",
                    f"it has {known}",
                    "unknown-port",
                )


def virtual_service_hosts_are_meant(collection: Collection) -> Iterator[Finding]:
    """A host that only a VirtualService names is an alias, unless it looks like a slip."""
    ports = collection.ports_of
    for written in collection.virtual_services:
        for index, host in enumerate(written.resource.spec.hosts):
            known = host in ports or host in collection.broken_hosts
            if not known and (hint := _did_you_mean(host, ports)):
                yield written.finding(
                    ("spec", "hosts", index),
                    "no LLMProvider or ServiceEntry has this host",
                    hint,
                    "unknown-host",
                    Severity.WARNING,
                )


def rules_have_a_host(collection: Collection) -> Iterator[Finding]:
    """A DestinationRule acts on a host that something describes, and on ports that the host has."""
    ports = collection.ports_of
    for written in collection.destination_rules:
        spec = written.resource.spec
        if spec.host in collection.broken_hosts:
            continue
        if spec.host not in ports:
            yield written.finding(
                ("spec", "host"),
                "has no effect: no LLMProvider or ServiceEntry has this host",
                _did_you_mean(spec.host, ports) or "correct the name, or remove the rule",
                "unknown-host",
                Severity.WARNING,
            )
            continue
        for index, entry in enumerate((spec.traffic_policy or NO_POLICY).port_level_settings):
            if entry.port.number not in ports[spec.host]:
                known = ", ".join(str(port) for port in sorted(ports[spec.host]))
                yield written.finding(
                    ("spec", "trafficPolicy", "portLevelSettings", index, "port", "number"),
                    "has no effect: the host has no such port",
                    f"it has {known}",
                    "unknown-port",
                    Severity.WARNING,
                )


def _destinations(service: VirtualService) -> Iterator[tuple[Path, Destination]]:
    for i, rule in enumerate(service.spec.http):
        for j, entry in enumerate(rule.route):
            path: Path = ("spec", "http", i, "route", j)
            yield (*path, "destination"), entry.destination
            if entry.fallback:
                yield (*path, "fallback", "target"), entry.fallback.target


def _did_you_mean(host: str, hosts: Iterable[str]) -> str:
    close = difflib.get_close_matches(host, hosts, n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else ""
