"""All resources of a configuration together, and the questions that need more than one of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from llm_fallback.config.documents import Document
from llm_fallback.config.findings import Finding
from llm_fallback.config.validate import Written
from llm_fallback.resources import (
    DestinationRule,
    LLMFallbackPolicy,
    LLMProvider,
    LLMRoute,
    Resource,
    ServiceEntry,
    VirtualService,
)
from llm_fallback.resources.llmprovider import PROVIDER_PORT

_NOT_YET = datetime.max.replace(tzinfo=UTC)

type Name = tuple[str, str, str]
"""Kind, namespace and name."""


def name_of(resource: Resource) -> Name:
    """What a resource is known by in a cluster."""
    return resource.kind, resource.metadata.namespace, resource.metadata.name


@dataclass(frozen=True)
class Collection:
    """All valid resources, by kind: VirtualServices oldest first, the others as they were read.

    `broken_hosts` are those that resources describe which are themselves reported, `broken_rule_hosts` those
    of such DestinationRules, and `broken_names` what such resources are called.
    """

    providers: tuple[Written[LLMProvider], ...] = ()
    destination_rules: tuple[Written[DestinationRule], ...] = ()
    virtual_services: tuple[Written[VirtualService], ...] = ()
    llm_routes: tuple[Written[LLMRoute], ...] = ()
    service_entries: tuple[Written[ServiceEntry], ...] = ()
    policies: tuple[Written[LLMFallbackPolicy], ...] = ()
    broken_hosts: frozenset[str] = frozenset()
    broken_rule_hosts: frozenset[str] = frozenset()
    broken_names: frozenset[Name] = frozenset()
    replaced: tuple[tuple[Written[Resource], Written[Resource]], ...] = ()
    """Resources that are not among the others, each with the later one of the same name that is."""

    def all(self) -> Iterator[Written[Resource]]:
        """Every resource."""
        yield from self.providers
        yield from self.destination_rules
        yield from self.virtual_services
        yield from self.llm_routes
        yield from self.service_entries
        yield from self.policies

    @cached_property
    def provider_of(self) -> dict[str, Written[LLMProvider]]:
        """The provider of each host."""
        return {written.resource.spec.host: written for written in reversed(self.providers)}

    @cached_property
    def entries_of(self) -> dict[str, list[Written[ServiceEntry]]]:
        """The ServiceEntries of each host, which together have its ports."""
        found: dict[str, list[Written[ServiceEntry]]] = {}
        for written in self.service_entries:
            for host in dict.fromkeys(written.resource.spec.hosts):
                found.setdefault(host, []).append(written)
        return found

    @cached_property
    def ports_of(self) -> dict[str, frozenset[int]]:
        """The ports of each host that something describes."""
        ports = {written.resource.spec.host: frozenset({PROVIDER_PORT}) for written in self.providers}
        for host, entries in self.entries_of.items():
            ports[host] = frozenset(port.number for entry in entries for port in entry.resource.spec.ports)
        return ports


@dataclass(slots=True)
class Collector:
    """Collects resources while they are read."""

    resources: list[Written[Resource]] = field(default_factory=list)
    broken_hosts: set[str] = field(default_factory=set)
    broken_rule_hosts: set[str] = field(default_factory=set)
    broken_names: set[Name] = field(default_factory=set)
    unsupported_rules: list[tuple[Document, Sequence[Finding]]] = field(default_factory=list)
    """DestinationRules of which it is not yet known whether they would act."""

    def collection(self) -> Collection:
        """What has been collected: of several resources with one name the last, in the place of the first.

        That is what `kubectl apply` makes of them, one file after the other.
        """
        resources, replaced = _last_of_each(self.resources)
        services = _of(VirtualService, resources)
        # Those without a timestamp come last, as they were read: they are not in a cluster yet.
        services.sort(key=lambda written: written.resource.metadata.creation_timestamp or _NOT_YET)
        return Collection(
            tuple(_of(LLMProvider, resources)),
            tuple(_of(DestinationRule, resources)),
            tuple(services),
            tuple(_of(LLMRoute, resources)),
            tuple(_of(ServiceEntry, resources)),
            tuple(_of(LLMFallbackPolicy, resources)),
            frozenset(self.broken_hosts),
            frozenset(self.broken_rule_hosts),
            frozenset(self.broken_names),
            replaced,
        )


def _last_of_each(
    resources: Iterable[Written[Resource]],
) -> tuple[list[Written[Resource]], tuple[tuple[Written[Resource], Written[Resource]], ...]]:
    last: dict[Name, Written[Resource]] = {}
    earlier: list[tuple[Name, Written[Resource]]] = []
    for written in resources:
        name = name_of(written.resource)
        if name in last:
            earlier.append((name, last[name]))
        last[name] = written
    return list(last.values()), tuple((written, last[name]) for name, written in earlier)


def _of[R: Resource](kind: type[R], resources: Iterable[Written[Resource]]) -> list[Written[R]]:
    return [
        Written(written.resource, written.document)
        for written in resources
        if isinstance(written.resource, kind)
    ]
