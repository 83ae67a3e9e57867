"""Checks over the whole configuration: one function, one question.

A field's own type and range are checked where the field is declared, in `resources`.
"""

import difflib
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_fallback.config.findings import Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources import DestinationRule, LLMProvider, Resource, ServiceEntry, VirtualService
from llm_fallback.resources.destinationrule import (
    NO_POLICY,
    ClientTlsSettings,
    OutlierDetection,
    TrafficPolicy,
)
from llm_fallback.resources.llmprovider import CUSTOM_DESTINATION_RULE
from llm_fallback.resources.virtualservice import Destination

type _Place = tuple[str | int, ...]


@dataclass(slots=True)
class Resources:
    """All valid resources, by kind, in the order in which they were read."""

    providers: list[Written[LLMProvider]] = field(default_factory=list)
    destination_rules: list[Written[DestinationRule]] = field(default_factory=list)
    virtual_services: list[Written[VirtualService]] = field(default_factory=list)
    service_entries: list[Written[ServiceEntry]] = field(default_factory=list)
    broken_hosts: set[str] = field(default_factory=set)
    """Hosts of resources that are themselves reported."""

    def add(self, written: Written[Resource]) -> None:
        """Sort a resource in."""
        lists: dict[type[Resource], list[Any]] = {
            LLMProvider: self.providers,
            DestinationRule: self.destination_rules,
            VirtualService: self.virtual_services,
            ServiceEntry: self.service_entries,
        }
        lists[type(written.resource)].append(written)

    def all(self) -> Iterator[Written[Resource]]:
        """Every resource."""
        yield from self.providers
        yield from self.destination_rules
        yield from self.virtual_services
        yield from self.service_entries

    def by_age(self) -> list[Written[VirtualService]]:
        """VirtualServices, oldest first; those without a creation timestamp come last, as they were read."""
        return sorted(
            self.virtual_services,
            key=lambda written: written.resource.metadata.creation_timestamp or "9999",
        )

    def provider_of(self, host: str) -> Written[LLMProvider] | None:
        """The provider with this host."""
        return next((written for written in self.providers if written.resource.spec.host == host), None)


def check(resources: Resources) -> list[Finding]:
    """Everything that is wrong with the configuration as a whole."""
    return [finding for question in _QUESTIONS for finding in question(resources)]


def _names_are_unique(resources: Resources) -> Iterator[Finding]:
    """No two resources of a kind have the same name and namespace."""
    seen: dict[tuple[str, str, str], Written[Resource]] = {}
    for written in resources.all():
        meta = written.resource.metadata
        first = seen.setdefault((written.resource.kind, meta.namespace, meta.name), written)
        if first is not written:
            yield written.finding(
                ("metadata", "name"),
                f"a {written.resource.kind} of this name is already at {first.place}",
                "rename or remove one of them",
                "duplicate-resource",
            )


def _provider_hosts_are_unique(resources: Resources) -> Iterator[Finding]:
    """No two LLMProviders have the same host."""
    seen: dict[str, Written[LLMProvider]] = {}
    for written in resources.providers:
        first = seen.setdefault(written.resource.spec.host, written)
        if first is not written:
            yield written.finding(
                ("spec", "host"),
                f"the host already belongs to {first.place}",
                "a host has one LLMProvider",
                "duplicate-host",
            )


def _entry_hosts_are_unique(resources: Resources) -> Iterator[Finding]:
    """No two ServiceEntries describe the same host."""
    seen: dict[str, Written[ServiceEntry]] = {}
    for written in resources.service_entries:
        for index, host in enumerate(written.resource.spec.hosts):
            first = seen.setdefault(host, written)
            if first is not written:
                yield written.finding(
                    ("spec", "hosts", index),
                    f"the host is already described by {first.place}",
                    "keep one of them",
                    "duplicate-host",
                )


def _oldest_virtual_service_wins(resources: Resources) -> Iterator[Finding]:
    """One VirtualService per host: sidecars do not merge, the oldest one has the host."""
    seen: dict[str, Written[VirtualService]] = {}
    for written in resources.by_age():
        for index, host in enumerate(written.resource.spec.hosts):
            first = seen.setdefault(host, written)
            if first is not written:
                yield written.finding(
                    ("spec", "hosts", index),
                    f"has no effect: the host already belongs to {first.place}",
                    "merge the two; the mesh does not",
                    "shadowed-host",
                    Severity.WARNING,
                )


def _first_destination_rule_wins(resources: Resources) -> Iterator[Finding]:
    """One DestinationRule per host: the first one with a policy counts."""
    seen: dict[str, Written[DestinationRule]] = {}
    for written in resources.destination_rules:
        if written.resource.spec.traffic_policy is None:
            continue
        first = seen.setdefault(written.resource.spec.host, written)
        if first is not written:
            yield written.finding(
                ("spec", "host"),
                f"has no effect: the host already has {first.place}",
                "merge the two",
                "shadowed-rule",
                Severity.WARNING,
            )


def _destinations_exist(resources: Resources) -> Iterator[Finding]:
    """Every host and port that a route names is one of an LLMProvider or a ServiceEntry."""
    ports = _ports_by_host(resources)
    for written in resources.virtual_services:
        for path, destination in _destinations(written.resource):
            if destination.host in resources.broken_hosts:
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


def _virtual_service_hosts_are_meant(resources: Resources) -> Iterator[Finding]:
    """A host that only a VirtualService names is an alias, unless it looks like a slip."""
    ports = _ports_by_host(resources)
    for written in resources.virtual_services:
        for index, host in enumerate(written.resource.spec.hosts):
            known = host in ports or host in resources.broken_hosts
            if not known and (hint := _did_you_mean(host, ports)):
                yield written.finding(
                    ("spec", "hosts", index),
                    "no LLMProvider or ServiceEntry has this host",
                    hint,
                    "unknown-host",
                    Severity.WARNING,
                )


def _rules_have_a_host(resources: Resources) -> Iterator[Finding]:
    """A DestinationRule acts on a host that something describes, and on ports that the host has."""
    ports = _ports_by_host(resources)
    for written in resources.destination_rules:
        spec = written.resource.spec
        if spec.host in resources.broken_hosts:
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
        for index, entry in enumerate(_policy(written.resource).port_level_settings):
            if entry.port.number not in ports[spec.host]:
                known = ", ".join(str(port) for port in sorted(ports[spec.host]))
                yield written.finding(
                    ("spec", "trafficPolicy", "portLevelSettings", index, "port", "number"),
                    "has no effect: the host has no such port",
                    f"it has {known}",
                    "unknown-port",
                    Severity.WARNING,
                )


def _deprecated_thresholds_have_an_effect(resources: Resources) -> Iterator[Finding]:
    """`consecutiveErrors` is accepted by Istio and ignored."""
    for written in resources.destination_rules:
        policy = _policy(written.resource)
        places: list[tuple[_Place, OutlierDetection | None]] = [((), policy.outlier_detection)]
        places += [
            (("portLevelSettings", i), entry.outlier_detection)
            for i, entry in enumerate(policy.port_level_settings)
        ]
        for place, outlier in places:
            if outlier and outlier.consecutive_errors is not None:
                yield written.finding(
                    ("spec", "trafficPolicy", *place, "outlierDetection", "consecutiveErrors"),
                    "has no effect",
                    "write consecutive5xxErrors",
                    "no-effect",
                    Severity.WARNING,
                )


def _weights_send_somewhere(resources: Resources) -> Iterator[Finding]:
    """Several destinations need a weight above 0 between them."""
    for written in resources.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            if len(rule.route) > 1 and not any(entry.weight for entry in rule.route):
                yield written.finding(
                    ("spec", "http", index, "route"),
                    "the weights sum to 0",
                    "give at least one destination a weight",
                    "zero-weight",
                )


def _rules_can_be_reached(resources: Resources) -> Iterator[Finding]:
    """A rule without a match takes every request; those after it get none."""
    for written in resources.virtual_services:
        for index in range(1, len(written.resource.spec.http)):
            yield written.finding(
                ("spec", "http", index),
                "is never reached: the first rule takes every request",
                "remove it",
                "unreachable-route",
                Severity.WARNING,
            )


def _fallback_cases_have_an_effect(resources: Resources) -> Iterator[Finding]:
    """`fallback.case` is part of ASM's schema, and nobody documents what it does."""
    for written in resources.virtual_services:
        for i, rule in enumerate(written.resource.spec.http):
            for j, entry in enumerate(rule.route):
                if entry.fallback and entry.fallback.case is not None:
                    yield written.finding(
                        ("spec", "http", i, "route", j, "fallback", "case"),
                        "has no effect",
                        "the fallback acts whenever the destination has no healthy endpoint",
                        "no-effect",
                        Severity.WARNING,
                    )


def _rules_of_providers_count(resources: Resources) -> Iterator[Finding]:
    """A DestinationRule for a provider's host counts only if the provider says so."""
    for written in resources.destination_rules:
        provider = resources.provider_of(written.resource.spec.host)
        if provider and not provider.resource.has_custom_destination_rule:
            yield written.finding(
                ("spec", "host"),
                f"has no effect: the rule generated for {provider.document.name} stands",
                f'annotate that LLMProvider with {CUSTOM_DESTINATION_RULE}: "true"',
                "generated-rule",
                Severity.WARNING,
            )


def _authorities_can_be_read(resources: Resources) -> Iterator[Finding]:
    """Every `caCertificates` names a file of certificates."""
    for written in resources.destination_rules:
        for path, tls in _tls_settings(written.resource):
            if tls.ca_certificates and (problem := _authority_problem(tls.ca_certificates)):
                yield written.finding(
                    (*path, "caCertificates"), problem, "name a PEM file, or 'system'", "unreadable-file"
                )


def _names_are_checked_alike(resources: Resources) -> Iterator[Finding]:
    """With an explicit `sni` and no `subjectAltNames`, Istio checks no name at all; here one is checked."""
    for written in resources.destination_rules:
        for path, tls in _tls_settings(written.resource):
            if tls.sni and tls.sni != written.resource.spec.host and not tls.subject_alt_names:
                yield written.finding(
                    (*path, "sni"),
                    "is sent as it is; the certificate is checked against the host (the mesh checks no name)",
                    "",
                    "stricter-name-check",
                    Severity.INFO,
                )


def _keys_travel_encrypted(resources: Resources) -> Iterator[Finding]:
    """A custom rule that lost its tls block would send the provider's key in clear text."""
    for written in resources.destination_rules:
        provider = resources.provider_of(written.resource.spec.host)
        if not provider or not provider.resource.has_custom_destination_rule:
            continue
        if written.resource.spec.traffic_policy is None:
            continue
        for path, tls in _policies(written.resource):
            if tls is None:
                yield written.finding(
                    path,
                    "has no tls: requests to this provider, with its key, are sent unencrypted",
                    "add tls: {mode: SIMPLE}, or mode DISABLE if that is meant",
                    "no-tls",
                    Severity.WARNING,
                )


_QUESTIONS: Sequence[Callable[[Resources], Iterator[Finding]]] = (
    _names_are_unique,
    _provider_hosts_are_unique,
    _entry_hosts_are_unique,
    _oldest_virtual_service_wins,
    _first_destination_rule_wins,
    _destinations_exist,
    _virtual_service_hosts_are_meant,
    _rules_have_a_host,
    _deprecated_thresholds_have_an_effect,
    _weights_send_somewhere,
    _rules_can_be_reached,
    _fallback_cases_have_an_effect,
    _rules_of_providers_count,
    _authorities_can_be_read,
    _names_are_checked_alike,
    _keys_travel_encrypted,
)


def _ports_by_host(resources: Resources) -> dict[str, set[int]]:
    ports = {written.resource.spec.host: {80} for written in resources.providers}
    for entry in resources.service_entries:
        for host in entry.resource.spec.hosts:
            ports[host] = {port.number for port in entry.resource.spec.ports}
    return ports


def _destinations(service: VirtualService) -> Iterator[tuple[_Place, Destination]]:
    for i, rule in enumerate(service.spec.http):
        for j, entry in enumerate(rule.route):
            path: _Place = ("spec", "http", i, "route", j)
            yield (*path, "destination"), entry.destination
            if entry.fallback:
                yield (*path, "fallback", "target"), entry.fallback.target


def _policy(rule: DestinationRule) -> TrafficPolicy:
    return rule.spec.traffic_policy or NO_POLICY


def _did_you_mean(host: str, hosts: Iterable[str]) -> str:
    close = difflib.get_close_matches(host, hosts, n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else ""


def _policies(rule: DestinationRule) -> Iterator[tuple[_Place, ClientTlsSettings | None]]:
    """The policy that stands for port 80, the port of every provider."""
    policy = _policy(rule)
    for index, entry in enumerate(policy.port_level_settings):
        if entry.port.number == 80:
            yield ("spec", "trafficPolicy", "portLevelSettings", index), entry.tls
            return
    yield ("spec", "trafficPolicy"), policy.tls


def _tls_settings(rule: DestinationRule) -> Iterator[tuple[_Place, ClientTlsSettings]]:
    policy = _policy(rule)
    if policy.tls:
        yield ("spec", "trafficPolicy", "tls"), policy.tls
    for index, entry in enumerate(policy.port_level_settings):
        if entry.tls:
            yield ("spec", "trafficPolicy", "portLevelSettings", index, "tls"), entry.tls


def _authority_problem(name: str) -> str | None:
    if name == "system":
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(Path(name))
    except ssl.SSLError:
        return "the file holds no certificates"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    return None
