"""What is written and has no effect, or none that anybody can mean."""

from collections.abc import Iterator

from llm_fallback.config.collection import Collection
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Finding, Severity
from llm_fallback.resources.destinationrule import NO_POLICY, OutlierDetection
from llm_fallback.resources.llmprovider import CUSTOM_DESTINATION_RULE


def deprecated_thresholds_have_an_effect(collection: Collection) -> Iterator[Finding]:
    """`consecutiveErrors` is accepted by Istio and ignored."""
    for written in collection.destination_rules:
        policy = written.resource.spec.traffic_policy or NO_POLICY
        places: list[tuple[Path, OutlierDetection | None]] = [((), policy.outlier_detection)]
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


def weights_send_somewhere(collection: Collection) -> Iterator[Finding]:
    """Several destinations need a weight above 0 between them."""
    for written in collection.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            if len(rule.route) > 1 and not any(entry.weight for entry in rule.route):
                yield written.finding(
                    ("spec", "http", index, "route"),
                    "the weights sum to 0",
                    "give at least one destination a weight",
                    "zero-weight",
                )


def rules_can_be_reached(collection: Collection) -> Iterator[Finding]:
    """A rule without a match takes every request; those after it get none."""
    for written in collection.virtual_services:
        for index in range(1, len(written.resource.spec.http)):
            yield written.finding(
                ("spec", "http", index),
                "is never reached: the first rule takes every request",
                "remove it",
                "unreachable-route",
                Severity.WARNING,
            )


def fallback_cases_have_an_effect(collection: Collection) -> Iterator[Finding]:
    """`fallback.case` is part of ASM's schema, and nobody documents what it does."""
    for written in collection.virtual_services:
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


def rules_of_providers_count(collection: Collection) -> Iterator[Finding]:
    """A DestinationRule for a provider's host counts only if the provider says so."""
    for written in collection.destination_rules:
        provider = collection.provider_of.get(written.resource.spec.host)
        if provider and not provider.resource.has_custom_destination_rule:
            yield written.finding(
                ("spec", "host"),
                f"has no effect: the rule generated for {provider.document.name} stands",
                f'annotate that LLMProvider with {CUSTOM_DESTINATION_RULE}: "true"',
                "generated-rule",
                Severity.WARNING,
            )
