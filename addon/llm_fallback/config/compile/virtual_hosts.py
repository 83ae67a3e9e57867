"""From VirtualServices and LLMRoutes to the rules of each host: what Istio generates as routes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from llm_fallback.config.collection import Collection
from llm_fallback.config.compile.actions import action, cors, fault, headers, mirrors, retries, rewrite
from llm_fallback.config.compile.conditions import llm_match, matches
from llm_fallback.config.compile.rescue import Policies
from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import Match, Route, RouteDestination, VirtualHost
from llm_fallback.config.validate import Written
from llm_fallback.resources import LLMRoute, VirtualService
from llm_fallback.resources.llmfallbackpolicy import TargetKind
from llm_fallback.resources.llmroute import BackendRef
from llm_fallback.resources.virtualservice import HTTPRoute

type Labels = Mapping[str, str]


def virtual_hosts(
    collection: Collection, described: Iterable[str], workload: Labels
) -> tuple[dict[str, VirtualHost], dict[str, VirtualHost]]:
    """The rules by host, and those of wildcards by their suffix.

    `described` are the hosts that have a service; `workload` holds the labels of the workload that asks.
    """
    policies = Policies(collection)
    found: dict[str, VirtualHost] = {}
    wildcards: dict[str, VirtualHost] = {}
    for written in collection.virtual_services:
        if not written.resource.spec.is_for_sidecars:
            continue
        rules = VirtualHost(written.document.name, _routes(written, workload, policies))
        for host in written.resource.spec.hosts:
            if host.startswith("*"):
                wildcards.setdefault(host[1:], rules)
            else:
                found.setdefault(host, rules)
    for llm_route in collection.llm_routes:
        if llm_route.resource.spec.is_for_sidecars:
            rules = VirtualHost(llm_route.document.name, _llm_routes(llm_route, workload, policies))
            found.setdefault(llm_route.resource.spec.host, rules)
    for host in described:
        rules = found.get(host) or _wildcard_rules(host, wildcards) or _own_rules(host)
        found[host] = _with_policy(rules, policies.of_host(host))
    return found, wildcards


def _with_policy(rules: VirtualHost, policy: RescuePolicy | None) -> VirtualHost:
    """The rules of a provider's host, whose policy is for those that have none of their own."""
    if policy is None:
        return rules
    return replace(rules, routes=tuple(replace(r, rescue=r.rescue or policy) for r in rules.routes))


def _wildcard_rules(host: str, wildcards: Mapping[str, VirtualHost]) -> VirtualHost | None:
    """The rules of the longest wildcard that a host falls under."""
    fitting = (suffix for suffix in wildcards if host.endswith(suffix) and host != suffix)
    longest = max(fitting, key=len, default=None)
    return None if longest is None else wildcards[longest]


def _own_rules(host: str) -> VirtualHost:
    """The route of a host that nothing routes; Istio calls it `default` as well."""
    return VirtualHost("default", (Route("default", "generated", (RouteDestination(Destination(host)),)),))


def _routes(written: Written[VirtualService], workload: Labels, policies: Policies) -> tuple[Route, ...]:
    found: list[Route] = []
    for index, rule in enumerate(written.resource.spec.http):
        alternatives = matches(written, index, rule, workload)
        if alternatives is not None:
            route = _route(written, index, rule, alternatives)
            policy = policies.of_rule(TargetKind.VIRTUAL_SERVICE, written, rule.name)
            found.append(replace(route, rescue=policy))
    return tuple(found)


def _route(
    written: Written[VirtualService], index: int, rule: HTTPRoute, alternatives: tuple[Match, ...]
) -> Route:
    return Route(
        rule.name or written.resource.metadata.name,
        _source(written, index),
        action(rule),
        alternatives,
        is_weighted=len(rule.route) > 1,
        headers=headers(rule.headers),
        rewrite=rewrite(rule.rewrite),
        timeout_s=None if rule.timeout is None else rule.timeout / 1000,
        retries=retries(rule.retries),
        fault=fault(rule.fault),
        mirrors=mirrors(rule),
        cors=cors(rule.cors_policy),
    )


def _llm_routes(written: Written[LLMRoute], workload: Labels, policies: Policies) -> tuple[Route, ...]:
    found: list[Route] = []
    for index, rule in enumerate(written.resource.spec.rules):
        alternatives = llm_match(written, index, rule, workload)
        if alternatives is not None:
            name = rule.name or written.resource.metadata.name
            place = f"{written.document.file}:{written.document.line(('spec', 'rules', index))}"
            source = f"{place} {written.document.name}"
            destinations = _backends(rule.backend_refs)
            route = Route(name, source, destinations, alternatives, llm_rule=rule.name or None)
            policy = policies.of_rule(TargetKind.LLM_ROUTE, written, rule.name)
            found.append(replace(route, is_weighted=len(rule.backend_refs) > 1, rescue=policy))
    return tuple(found)


def _backends(refs: list[BackendRef]) -> tuple[RouteDestination, ...]:
    return tuple(
        RouteDestination(Destination(ref.provider_host), ref.weight or 1, authority=ref.host_rewrite)
        for ref in refs
        if ref.weight or len(refs) == 1
    )


def _source(written: Written[VirtualService], index: int) -> str:
    line = written.document.line(("spec", "http", index))
    return f"{written.document.file}:{line} {written.document.name}"
