"""From VirtualServices and LLMRoutes to the rules of each host: what Istio generates as routes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llm_fallback.config.collection import Collection
from llm_fallback.config.compile.actions import action, cors, fault, headers, mirrors, retries, rewrite
from llm_fallback.config.compile.conditions import llm_match, matches
from llm_fallback.config.compile.rescue import Policies
from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import (
    DEFAULT_RETRIES,
    Action,
    Match,
    Retries,
    Route,
    RouteDestination,
    VirtualHost,
)
from llm_fallback.config.snapshot import Service
from llm_fallback.config.validate import Written
from llm_fallback.resources import LLMRoute, VirtualService
from llm_fallback.resources.llmfallbackpolicy import TargetKind
from llm_fallback.resources.llmroute import BackendRef
from llm_fallback.resources.names import patterns_around
from llm_fallback.resources.virtualservice import HTTPRoute

type Labels = Mapping[str, str]


def virtual_hosts(
    collection: Collection, services: Mapping[str, Service], workload: Labels
) -> tuple[dict[str, VirtualHost], dict[str, VirtualHost]]:
    """The rules by host, and those of wildcards by their suffix.

    `services` are those of the hosts that have one; `workload` holds the labels of the workload that asks.
    """
    rules_of = _Rules(collection, services, workload)
    found: dict[str, VirtualHost] = {}
    wildcards: dict[str, VirtualHost] = {}
    for written in collection.virtual_services:
        if not written.resource.spec.is_for_sidecars:
            continue
        rules = rules_of.virtual_service(written)
        for host in written.resource.spec.hosts:
            if host.startswith("*"):
                wildcards.setdefault(host[1:], rules)
            else:
                found.setdefault(host, rules)
    for llm_route in collection.llm_routes:
        if llm_route.resource.spec.is_for_sidecars:
            found.setdefault(llm_route.resource.spec.host, rules_of.llm_route(llm_route))
    for host in services:
        rules = found.get(host) or _wildcard_rules(host, wildcards) or rules_of.no_resource(host)
        found[host] = _with_policy(rules, rules_of.policies.of_host(host))
    return found, wildcards


class _Rules:
    """What the rules of one resource become."""

    def __init__(self, collection: Collection, services: Mapping[str, Service], workload: Labels) -> None:
        self.policies = Policies(collection)
        self._workload = workload
        self._hashing = {host for host, service in services.items() if _hashes(service)}

    def virtual_service(self, written: Written[VirtualService]) -> VirtualHost:
        """The rules of a VirtualService."""
        found: list[Route] = []
        for index, rule in enumerate(written.resource.spec.http):
            alternatives = matches(written, index, rule, self._workload)
            if alternatives is not None:
                found.append(self._route(written, index, rule, alternatives))
        return VirtualHost(written.document.name, tuple(found))

    def llm_route(self, written: Written[LLMRoute]) -> VirtualHost:
        """The rules of an LLMRoute."""
        found: list[Route] = []
        for index, rule in enumerate(written.resource.spec.rules):
            alternatives = llm_match(written, index, rule, self._workload)
            if alternatives is not None:
                destinations = _backends(rule.backend_refs)
                route = Route(
                    rule.name or written.resource.metadata.name,
                    _source(written, ("spec", "rules", index)),
                    destinations,
                    alternatives,
                    is_weighted=len(rule.backend_refs) > 1,
                    retries=self._default_retries(destinations, is_weighted=len(rule.backend_refs) > 1),
                    llm_rule=rule.name or None,
                    rescue=self.policies.of_rule(TargetKind.LLM_ROUTE, written, rule.name),
                )
                found.append(route)
        return VirtualHost(written.document.name, tuple(found))

    def no_resource(self, host: str) -> VirtualHost:
        """The route of a host that nothing routes; Istio calls it `default` as well."""
        destinations = (RouteDestination(Destination(host)),)
        defaults = self._default_retries(destinations, is_weighted=False)
        return VirtualHost("default", (Route("default", "generated", destinations, retries=defaults),))

    def _route(
        self, written: Written[VirtualService], index: int, rule: HTTPRoute, alternatives: tuple[Match, ...]
    ) -> Route:
        does = action(rule)
        defaults = self._default_retries(does, is_weighted=len(rule.route) > 1)
        return Route(
            rule.name or written.resource.metadata.name,
            _source(written, ("spec", "http", index)),
            does,
            alternatives,
            is_weighted=len(rule.route) > 1,
            headers=headers(rule.headers),
            rewrite=rewrite(rule.rewrite),
            timeout_s=None if rule.timeout is None else rule.timeout / 1000,
            retries=retries(rule.retries, defaults),
            fault=fault(rule.fault),
            mirrors=mirrors(rule),
            cors=cors(rule.cors_policy),
            rescue=self.policies.of_rule(TargetKind.VIRTUAL_SERVICE, written, rule.name),
        )

    def _default_retries(self, does: Action, *, is_weighted: bool) -> Retries:
        """Istio's: they avoid endpoints that have been tried, unless the one destination hashes."""
        if not isinstance(does, tuple) or is_weighted or does[0].destination.host not in self._hashing:
            return DEFAULT_RETRIES
        return replace(DEFAULT_RETRIES, avoid_tried=False)


def _hashes(service: Service) -> bool:
    return any(target.balancing.hash_policy for target in service.targets.values())


def _with_policy(rules: VirtualHost, policy: RescuePolicy | None) -> VirtualHost:
    """The rules of a provider's host, whose policy is for those that have none of their own."""
    if policy is None:
        return rules
    return replace(rules, routes=tuple(replace(r, rescue=r.rescue or policy) for r in rules.routes))


def _wildcard_rules(host: str, wildcards: Mapping[str, VirtualHost]) -> VirtualHost | None:
    """The rules of the longest wildcard that a host falls under."""
    suffixes = (pattern.removeprefix("*") for pattern in patterns_around(host))
    return next((wildcards[suffix] for suffix in suffixes if suffix in wildcards), None)


def _backends(refs: list[BackendRef]) -> tuple[RouteDestination, ...]:
    return tuple(
        RouteDestination(Destination(ref.provider_host), ref.weight or 1, authority=ref.host_rewrite)
        for ref in refs
        if ref.weight or len(refs) == 1
    )


def _source(written: Written[Any], path: tuple[str | int, ...]) -> str:
    return f"{written.document.file}:{written.document.line(path)} {written.document.name}"
