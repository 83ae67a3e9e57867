"""What is written for others: gateways, and workloads that the proxy does not stand for."""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_fallback.config.checks.configuration import Configuration, WrittenRules
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
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
            yield written.finding(("spec", "gateways"), _GATEWAYS, hint, Code.NOT_FOR_US, Severity.INFO)


def rules_are_for_the_workload(configuration: Configuration) -> Iterator[Finding]:
    """A rule all of whose alternatives are for others is left out, as Istio does."""
    for rules in configuration.routes:
        for index, alternatives in enumerate(rules.matches):
            if alternatives is None:
                yield _for_others(configuration, rules, index)


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
            yield written.finding(path, _OTHERS, _SET_IT, Code.NOT_FOR_US, Severity.INFO)


def _for_others(configuration: Configuration, rules: WrittenRules, index: int) -> Finding:
    written, path = rules.written, (*rules.path, index)
    ours = [entry for entry in rules.conditions[index] if not entry.gateways or MESH in entry.gateways]
    if not ours:
        return written.finding(path, _GATEWAYS, "", Code.NOT_FOR_US, Severity.INFO)
    if configuration.workload is None and any(entry.source_labels for entry in ours):
        problem = "never applies: it asks for sourceLabels, and the proxy stands for no workload"
        return written.finding(path, problem, _SET_IT, Code.NOT_FOR_US, Severity.WARNING)
    return written.finding(path, _OTHERS, _SET_IT, Code.NOT_FOR_US, Severity.INFO)
