"""What the checks look at: the resources, and what is compiled from them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llm_fallback.config.checks.names import Names
from llm_fallback.config.collection import Collection
from llm_fallback.config.compile.actions import destination as compiled
from llm_fallback.config.compile.conditions import llm_match, matches
from llm_fallback.config.compile.policies import Rules
from llm_fallback.config.compile.rescue import Policies
from llm_fallback.config.compile.services import services
from llm_fallback.config.compile.virtual_hosts import virtual_hosts
from llm_fallback.config.destination import Destination as CompiledDestination
from llm_fallback.config.documents import Path
from llm_fallback.config.routes import Match, RouteDestination
from llm_fallback.config.snapshot import Service, Target
from llm_fallback.config.validate import Written
from llm_fallback.resources import DestinationRule, LLMRoute, VirtualService
from llm_fallback.resources.destinationrule import OutlierDetection, PortTrafficPolicy, TrafficPolicy
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.llmroute import LLMMatch
from llm_fallback.resources.names import patterns_around
from llm_fallback.resources.virtualservice import Destination


@dataclass(frozen=True, slots=True)
class WrittenPolicy:
    """A trafficPolicy, of a DestinationRule or of one of its subsets, and where it is written."""

    rule: Written[DestinationRule]
    path: Path
    policy: TrafficPolicy
    subset: str | None = None

    def blocks(self) -> Iterator[tuple[Path, TrafficPolicy | PortTrafficPolicy]]:
        """The policy, and the entries for ports in it."""
        yield self.path, self.policy
        for index, entry in enumerate(self.policy.port_level_settings):
            yield (*self.path, "portLevelSettings", index), entry


@dataclass(frozen=True, slots=True)
class WrittenRules:
    """The rules of a VirtualService or LLMRoute, and what is compiled of their matches."""

    written: Written[Any]
    path: Path
    conditions: Sequence[Sequence[HTTPMatchRequest | LLMMatch]]
    matches: Sequence[tuple[Match, ...] | None]
    """Of each rule; empty if it takes every request, None if it is for others."""

    def alternatives(self) -> Iterator[tuple[Path, HTTPMatchRequest | LLMMatch]]:
        """Every alternative of every rule, and where it is written."""
        for index, entries in enumerate(self.conditions):
            for number, entry in enumerate(entries):
                yield self.path_of(index, number), entry

    def path_of(self, index: int, number: int) -> Path:
        """Where an alternative of a rule is written."""
        name = "matches" if isinstance(self.written.resource, LLMRoute) else "match"
        return (*self.path, index, name, number)

    @property
    def hosts(self) -> Sequence[str]:
        """The hosts and wildcards whose rules they are meant to be."""
        spec = self.written.resource.spec
        return [spec.host] if isinstance(self.written.resource, LLMRoute) else spec.hosts


@dataclass(frozen=True, eq=False)
class Configuration:
    """The resources, and what comes of them for a workload with these labels; None: for any.

    The hosts of broken resources are in neither: what refers to them is not to blame.
    """

    collection: Collection
    workload: dict[str, str] | None = None

    @cached_property
    def virtual_services(self) -> tuple[Written[VirtualService], ...]:
        """Those that act: gateways' do not."""
        return tuple(w for w in self.collection.virtual_services if w.resource.spec.is_for_sidecars)

    @cached_property
    def llm_routes(self) -> tuple[Written[LLMRoute], ...]:
        """Those that act."""
        return tuple(w for w in self.collection.llm_routes if w.resource.spec.is_for_sidecars)

    @cached_property
    def routes(self) -> tuple[WrittenRules, ...]:
        """The rules of both."""
        labels = self.workload or {}
        found = []
        for written in self.virtual_services:
            http = written.resource.spec.http
            compiled = [matches(written, index, rule, labels) for index, rule in enumerate(http)]
            found.append(WrittenRules(written, ("spec", "http"), [rule.match for rule in http], compiled))
        for llm_route in self.llm_routes:
            rules = llm_route.resource.spec.rules
            compiled = [llm_match(llm_route, index, rule, labels) for index, rule in enumerate(rules)]
            found.append(WrittenRules(llm_route, ("spec", "rules"), [r.matches for r in rules], compiled))
        return tuple(found)

    @cached_property
    def services(self) -> dict[str, Service]:
        """Every host that can be called, with its targets."""
        return services(self.collection, self.workload)

    @cached_property
    def rules(self) -> Rules:
        """What DestinationRules say."""
        return Rules(self.collection, self.workload)

    @cached_property
    def rescues(self) -> Policies:
        """Which requests are rescued."""
        return Policies(self.collection)

    @cached_property
    def policies(self) -> tuple[WrittenPolicy, ...]:
        """Every trafficPolicy."""
        return tuple(policy for rule in self.collection.destination_rules for policy in _policies(rule))

    @cached_property
    def hosts(self) -> Names:
        """The names of the hosts."""
        return Names(self.services)

    def is_known(self, host: str) -> bool:
        """Whether something describes the host, or would if it were not broken."""
        return host in self.services or host in self.collection.broken_hosts

    def rule_of(self, host: str) -> Written[DestinationRule] | None:
        """The DestinationRule whose policy stands for a host; one that is for it, if none has a policy."""
        policy = self.rules.of_host(host).policy
        if policy and (rule := self._rule_by_policy.get(id(policy))):
            return rule
        found = (self._rule_by_host[name] for name in _and_around(host) if name in self._rule_by_host)
        return next(found, None)

    def hosts_under(self, policy: TrafficPolicy) -> Sequence[str]:
        """The hosts for which a policy stands: not for those that an earlier or a generated rule has."""
        return self._hosts_by_policy.get(id(policy), ())

    def targets_under(self, detection: OutlierDetection) -> Sequence[Target]:
        """The targets whose endpoints it ejects."""
        return self._targets_by_detection.get(id(detection), ())

    def targets(self, destination: Destination) -> Sequence[Target]:
        """What a destination may mean: one target, or one for each port where it names none of several."""
        return self.targets_at(compiled(destination))

    def targets_at(self, destination: CompiledDestination) -> Sequence[Target]:
        """The same of a compiled one."""
        service = self.services.get(destination.host)
        if service is None:
            return ()
        return [
            target
            for (port, subset), target in service.targets.items()
            if subset == destination.subset and destination.port in (None, port)
        ]

    def rules_for(self, host: str) -> WrittenRules | None:
        """The rules for a host or wildcard: its own, or those of the narrowest wildcard around it."""
        found = (self._rules_by_host[name] for name in _and_around(host) if name in self._rules_by_host)
        return next(found, None)

    def rules_in(self, written: Written[Any]) -> WrittenRules | None:
        """The rules of a VirtualService or LLMRoute; None if it is for others."""
        return self._rules_by_resource.get(id(written))

    @cached_property
    def rescued_by_host(self) -> frozenset[int]:
        """VirtualServices and LLMRoutes, by identity, that have the rules for a provider with a policy."""
        hosts = (host for host in self.collection.provider_of if self.rescues.of_host(host))
        return frozenset(id(rules.written) for host in hosts if (rules := self.rules_for(host)))

    @cached_property
    def rescued(self) -> Mapping[str, Sequence[RouteDestination]]:
        """Where requests go at first that a policy rescues, by the place of the policy."""
        found: dict[str, list[RouteDestination]] = defaultdict(list)
        by_host, by_suffix = virtual_hosts(self.collection, self.services, self.workload or {})
        for rules in (*by_host.values(), *by_suffix.values()):
            for route in rules.routes:
                if route.rescue and isinstance(route.action, tuple):
                    found[route.rescue.source].extend(route.action)
        return found

    @cached_property
    def _rules_by_resource(self) -> dict[int, WrittenRules]:
        return {id(rules.written): rules for rules in self.routes}

    @cached_property
    def _rules_by_host(self) -> dict[str, WrittenRules]:
        """The first that claims a host has it, VirtualServices before LLMRoutes."""
        found: dict[str, WrittenRules] = {}
        for rules in self.routes:
            for host in rules.hosts:
                found.setdefault(host, rules)
        return found

    @cached_property
    def _rule_by_host(self) -> dict[str, Written[DestinationRule]]:
        return {w.resource.spec.host: w for w in reversed(self.collection.destination_rules)}

    @cached_property
    def _rule_by_policy(self) -> dict[int, Written[DestinationRule]]:
        """By identity: policies are compiled as they are."""
        return {id(written.policy): written.rule for written in self.policies}

    @cached_property
    def _hosts_by_policy(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for host in self.services:
            rule = self.rules.of_host(host)
            if rule.policy:
                found[id(rule.policy)].append(host)
            for subset in (rule.subsets or {}).values():
                if subset.traffic_policy:
                    found[id(subset.traffic_policy)].append(host)
        return found

    @cached_property
    def _targets_by_detection(self) -> dict[int, list[Target]]:
        found: dict[int, list[Target]] = defaultdict(list)
        for host, service in self.services.items():
            rule = self.rules.of_host(host)
            for (port, subset), target in service.targets.items():
                if detection := rule.of(port, subset).outlier_detection:
                    found[id(detection)].append(target)
        return found


def _and_around(host: str) -> Iterator[str]:
    yield host
    yield from patterns_around(host)


def _policies(rule: Written[DestinationRule]) -> Iterator[WrittenPolicy]:
    spec = rule.resource.spec
    if spec.traffic_policy:
        yield WrittenPolicy(rule, ("spec", "trafficPolicy"), spec.traffic_policy)
    for index, subset in enumerate(spec.subsets):
        if subset.traffic_policy:
            path = ("spec", "subsets", index, "trafficPolicy")
            yield WrittenPolicy(rule, path, subset.traffic_policy, subset.name)
