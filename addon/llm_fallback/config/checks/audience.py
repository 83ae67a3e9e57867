"""What is written for others: gateways, and workloads that the proxy does not stand for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.compile.conditions import llm_match, matches
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.llmroute import LLMMatch
from llm_fallback.resources.names import MESH

_OTHERS = "is for other workloads: it has no effect here"
_SET_IT = "set llm_workload to its labels if the proxy stands for that workload"
_GATEWAYS = "is for gateways: it has no effect here"


def routes_are_for_sidecars(configuration: Configuration) -> Iterator[Finding]:
    """The proxy stands for the sidecar of the calling workload, and not for a gateway."""
    collection = configuration.collection
    routes: tuple[Written[Any], ...] = (*collection.virtual_services, *collection.llm_routes)
    for written in routes:
        if not written.resource.spec.is_for_sidecars:
            hint = f"add {MESH} to it if sidecars are meant too"
            yield written.finding(("spec", "gateways"), _GATEWAYS, hint, "not-for-us", Severity.INFO)


def rules_are_for_the_workload(configuration: Configuration) -> Iterator[Finding]:
    """A rule all of whose alternatives are for others is left out, as Istio does."""
    labels = configuration.workload or {}
    for written in configuration.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            if matches(written, index, rule, labels) is None:
                yield _for_others(configuration, written, ("spec", "http", index), rule.match)
    for llm_route in configuration.llm_routes:
        for index, llm_rule in enumerate(llm_route.resource.spec.rules):
            if llm_match(llm_route, index, llm_rule, labels) is None:
                yield _for_others(configuration, llm_route, ("spec", "rules", index), llm_rule.matches)


def selectors_select_the_workload(configuration: Configuration) -> Iterator[Finding]:
    """LLMProviders and DestinationRules for other workloads are left out; without a workload, none is."""
    workload = configuration.workload
    if workload is None:
        return
    selections: list[tuple[Written[Any], Mapping[str, str]]] = [
        (provider, provider.resource.spec.workload_selector.labels)
        for provider in configuration.collection.providers
    ]
    selections += [
        (rule, rule.resource.spec.workload_selector.match_labels)
        for rule in configuration.collection.destination_rules
        if rule.resource.spec.workload_selector
    ]
    for written, wanted in selections:
        if not wanted.items() <= workload.items():
            path = ("spec", "workloadSelector")
            yield written.finding(path, _OTHERS, _SET_IT, "not-for-us", Severity.INFO)


def _for_others(
    configuration: Configuration,
    written: Written[Any],
    path: Path,
    alternatives: Sequence[HTTPMatchRequest | LLMMatch],
) -> Finding:
    ours = [entry for entry in alternatives if not entry.gateways or MESH in entry.gateways]
    if not ours:
        return written.finding(path, _GATEWAYS, "", "not-for-us", Severity.INFO)
    if configuration.workload is None and any(entry.source_labels for entry in ours):
        problem = "never applies: it asks for sourceLabels, and the proxy stands for no workload"
        return written.finding(path, problem, _SET_IT, "not-for-us", Severity.WARNING)
    return written.finding(path, _OTHERS, _SET_IT, "not-for-us", Severity.INFO)
