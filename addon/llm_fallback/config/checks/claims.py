"""Two resources that claim the same: a mistake, or one that has no effect."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources import ServiceEntry

type _Claim = tuple[Hashable, Written[Any], Path]


def names_are_unique(configuration: Configuration) -> Iterator[Finding]:
    """No two resources of a kind have the same name and namespace, or they say the same.

    In a cluster there is one of each name: the one that was applied last.
    """
    for earlier, last in configuration.collection.replaced:
        if _says(earlier) == _says(last):
            problem, hint = f"is the same as {last.place}", "remove one of the two"
            severity = Severity.INFO
        else:
            problem = f"has no effect: {last.place} has the same name and comes later"
            hint, severity = "rename one of the two, or remove this one", Severity.WARNING
        yield earlier.finding(("metadata", "name"), problem, hint, Code.DUPLICATE_RESOURCE, severity)


def provider_hosts_are_unique(configuration: Configuration) -> Iterator[Finding]:
    """No two LLMProviders have the same host."""
    for second, path, first in _repeated(_host(configuration.collection.providers)):
        problem = f"the host already belongs to {first.place}"
        yield second.finding(path, problem, "a host has one LLMProvider", Code.DUPLICATE_HOST)


def entry_ports_are_unique(configuration: Configuration) -> Iterator[Finding]:
    """ServiceEntries that share a host add up to one: each has ports of its own, and nothing else differs."""
    for host, entries in configuration.collection.entries_of.items():
        ports: dict[int, Written[ServiceEntry]] = {}
        for written in entries:
            spec = written.resource.spec
            clash = next((port.number for port in spec.ports if port.number in ports), None)
            if clash is not None:
                problem = f"port {clash} of the host is already described by {ports[clash].place}"
            elif difference := _difference(entries[0].resource, written.resource):
                problem = f"the host is already described by {entries[0].place}, with another {difference}"
            else:
                ports |= dict.fromkeys((port.number for port in spec.ports), written)
                continue
            path = ("spec", "hosts", spec.hosts.index(host))
            yield written.finding(path, problem, "keep one of them", Code.DUPLICATE_HOST)


def _difference(one: ServiceEntry, other: ServiceEntry) -> str | None:
    """What keeps Istio from taking the two for one service."""
    if one.metadata.namespace != other.metadata.namespace:
        return "namespace"
    if one.spec.resolution is not other.spec.resolution:
        return "resolution"
    return "exportTo" if set(one.shown_to) != set(other.shown_to) else None


def llm_route_hosts_are_unique(configuration: Configuration) -> Iterator[Finding]:
    """A host's rules are in one LLMRoute, or in a VirtualService: which would win is nowhere said."""
    claims = [*_hosts(configuration.virtual_services), *_host(configuration.llm_routes)]
    for second, path, first in _repeated(claims):
        if second.resource.kind == "LLMRoute":
            problem = f"the host already has its rules in {first.place}"
            yield second.finding(path, problem, "keep one of the two", Code.DUPLICATE_HOST)


def oldest_virtual_service_wins(configuration: Configuration) -> Iterator[Finding]:
    """One VirtualService per host: sidecars do not merge, the oldest one has the host."""
    for second, path, first in _repeated(_hosts(configuration.virtual_services)):
        problem = f"has no effect: the host already belongs to {first.place}"
        hint = "merge the two; the mesh does not"
        yield second.finding(path, problem, hint, Code.SHADOWED_HOST, Severity.WARNING)


def first_destination_rule_wins(configuration: Configuration) -> Iterator[Finding]:
    """One trafficPolicy per host: that of the first DestinationRule that has one."""
    with_policy = [w for w in configuration.collection.destination_rules if w.resource.spec.traffic_policy]
    for second, path, first in _repeated(_host(with_policy)):
        problem = f"has no effect: the host already has {first.place}"
        yield second.finding(path, problem, "merge the two", Code.SHADOWED_RULE, Severity.WARNING)


def first_subset_wins(configuration: Configuration) -> Iterator[Finding]:
    """The subsets of all DestinationRules of a host count, the first where two have one name."""
    claims: list[_Claim] = [
        ((w.resource.spec.host, subset.name), w, ("spec", "subsets", index, "name"))
        for w in configuration.collection.destination_rules
        for index, subset in enumerate(w.resource.spec.subsets)
    ]
    for second, path, first in _repeated(claims):
        problem = f"has no effect: the host already has a subset of this name, in {first.place}"
        yield second.finding(path, problem, "rename or remove it", Code.SHADOWED_RULE, Severity.WARNING)


def targets_have_one_policy(configuration: Configuration) -> Iterator[Finding]:
    """No two LLMFallbackPolicies are for the same resource, or for the same rule of it."""
    claims: list[_Claim] = [
        (
            (ref.kind, w.resource.metadata.namespace, ref.name, ref.section_name),
            w,
            ("spec", "targetRefs", index),
        )
        for w in configuration.collection.policies
        for index, ref in enumerate(w.resource.spec.target_refs)
    ]
    for second, path, first in _repeated(claims):
        ref = second.resource.spec.target_refs[path[-1]]
        what = f"{ref.kind}/{ref.name}" + (f", rule {ref.section_name}," if ref.section_name else "")
        problem = f"{what} already has a policy, {first.place}"
        yield second.finding(path, problem, "keep one of the two", Code.DUPLICATE_POLICY)


def _says(written: Written[Any]) -> tuple[Any, Any]:
    return written.resource.spec, written.resource.metadata.annotations


def _host(resources: Iterable[Written[Any]]) -> Iterator[_Claim]:
    for written in resources:
        yield written.resource.spec.host, written, ("spec", "host")


def _hosts(resources: Iterable[Written[Any]]) -> Iterator[_Claim]:
    for written in resources:
        for index, host in enumerate(written.resource.spec.hosts):
            yield host, written, ("spec", "hosts", index)


def _repeated(claims: Iterable[_Claim]) -> Iterator[tuple[Written[Any], Path, Written[Any]]]:
    """Each claim of what another has claimed before: who, where, and the one before."""
    seen: dict[Hashable, Written[Any]] = {}
    for claim, written, path in claims:
        first = seen.setdefault(claim, written)
        if first is not written:
            yield written, path, first
