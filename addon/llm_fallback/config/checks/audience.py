"""What is written for others: gateways, and workloads that the proxy does not stand for."""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.compile.conditions import NAMESPACE, Others, for_others
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.istio import EVERYBODY
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
            yield written.finding(("spec", "gateways"), _GATEWAYS, hint, Code.NOT_FOR_US, Severity.INFO)


def rules_are_for_the_workload(configuration: Configuration) -> Iterator[Finding]:
    """Alternatives for others are left out, and with the last of them the rule, as Istio does."""
    for rules in configuration.routes:
        for index, entries in enumerate(rules.conditions):
            left_out = [
                (number, said)
                for number, entry in enumerate(entries)
                if (said := _why_left_out(configuration, entry))
            ]
            if left_out and len(left_out) == len(entries):
                # One reason is enough; what may be a slip comes first.
                problem, hint, severity = min(
                    (said for _, said in left_out), key=lambda said: said[2] is Severity.INFO
                )
                yield rules.written.finding((*rules.path, index), problem, hint, Code.NOT_FOR_US, severity)
                continue
            for number, (problem, hint, severity) in left_out:
                path = rules.path_of(index, number)
                yield rules.written.finding(path, problem, hint, Code.NOT_FOR_US, severity)


def resources_are_shown(configuration: Configuration) -> Iterator[Finding]:
    """The mesh keeps a resource from the namespaces that it is not exported to; here it acts nevertheless."""
    collection = configuration.collection
    for written in (
        *collection.destination_rules,
        *collection.service_entries,
        *configuration.virtual_services,
    ):
        if not {EVERYBODY, NAMESPACE}.intersection(written.resource.shown_to):
            yield written.finding(
                ("spec", "exportTo"),
                "acts here all the same",
                f"the mesh does not show it to workloads in namespace {NAMESPACE}",
                Code.UNLIKE_MESH,
                Severity.INFO,
            )


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


def _why_left_out(
    configuration: Configuration, entry: HTTPMatchRequest | LLMMatch
) -> tuple[str, str, Severity] | None:
    """Problem, hint and severity of an alternative for others."""
    match for_others(entry, configuration.workload or {}):
        case None:
            return None
        case Others.GATEWAYS:
            return _GATEWAYS, "", Severity.INFO
        case Others.NAMESPACE:
            problem = f"never applies: the workload that the proxy stands for counts as one in {NAMESPACE}"
            return problem, "remove sourceNamespace if that workload is meant", Severity.WARNING
        case Others.WORKLOADS if configuration.workload is None:
            problem = "never applies: it asks for sourceLabels, and the proxy stands for no workload"
            return problem, _SET_IT, Severity.WARNING
        case Others.WORKLOADS:
            return _OTHERS, _SET_IT, Severity.INFO
