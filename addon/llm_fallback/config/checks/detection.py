"""Whether outlier detection can eject anybody, and whether that changes anything."""

import math
from collections.abc import Iterator

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.snapshot import Target
from llm_fallback.config.validate import Written
from llm_fallback.resources import DestinationRule
from llm_fallback.resources.destinationrule import OutlierDetection
from llm_fallback.wording import counted

_USUAL_ADDRESSES = 2
"""Names with so many are common: nothing to warn of, then."""

type _Detection = tuple[Written[DestinationRule], Path, OutlierDetection]


def thresholds_can_be_reached(configuration: Configuration) -> Iterator[Finding]:
    """Some threshold is above 0; only local failures that are split off have one by themselves."""
    for written, path, detection in _detections(configuration):
        thresholds = (detection.consecutive_5xx_errors, detection.consecutive_gateway_errors)
        if not any(thresholds) and not detection.split_external_local_origin_errors:
            yield written.finding(
                (*path, "consecutive5xxErrors"),
                "ejects nobody: without a threshold above 0, no error counts",
                "write how many errors in a row eject, such as 5",
                Code.NEVER_EJECTS,
                Severity.WARNING,
            )


def gateway_errors_come_first(configuration: Configuration) -> Iterator[Finding]:
    """A gateway error is a 5xx too, and what resets the count of 5xx resets that of gateway errors."""
    for written, path, detection in _detections(configuration):
        if 0 < detection.consecutive_5xx_errors <= detection.consecutive_gateway_errors:
            yield written.finding(
                (*path, "consecutiveGatewayErrors"),
                "has no effect: consecutive5xxErrors counts gateway errors too, and is reached no later",
                "write less than consecutive5xxErrors, or set that to 0",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def local_failures_are_counted(configuration: Configuration) -> Iterator[Finding]:
    """0 turns the count of 5xx off, but not that of local failures: Istio takes it for unset, which is 5."""
    for written, path, detection in _detections(configuration):
        if detection.split_external_local_origin_errors and detection.consecutive_local_origin_failures == 0:
            yield written.finding(
                (*path, "consecutiveLocalOriginFailures"),
                "0 does not turn it off: it acts as 5",
                "write a number so high that it is never reached",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def few_endpoints_can_be_ejected(configuration: Configuration) -> Iterator[Finding]:
    """The percentage lets one endpoint go: a lone one needs 100, as Envoy counts since 1.28."""
    for written, path, detection in _detections(configuration):
        percent = detection.max_ejection_percent or 10
        for target in configuration.targets_under(detection):
            count = _endpoints(target)
            if target.per_address and 0 < len(target.endpoints) < 100 / percent:
                needed = math.ceil(100 / percent)
                yield written.finding(
                    (*path, "maxEjectionPercent"),
                    f"nobody is ejected unless the host has {needed} addresses or more:"
                    f" at most {percent}% are let go",
                    "write 100, or what fits their number",
                    Code.NEVER_EJECTS,
                    Severity.WARNING if needed > _USUAL_ADDRESSES else Severity.INFO,
                )
                break
            if count and 100 / count > percent:
                yield written.finding(
                    (*path, "maxEjectionPercent"),
                    f"nobody is ejected: the host has {counted(count, 'endpoint')},"
                    f" and at most {percent}% are let go",
                    f"write {math.ceil(100 / count)} or more",
                    Code.NEVER_EJECTS,
                    Severity.WARNING,
                )
                break


def ejected_endpoints_are_avoided(configuration: Configuration) -> Iterator[Finding]:
    """With one endpoint ejected, the others are not yet so few that all get requests again."""
    for written, path, detection in _detections(configuration):
        threshold = detection.min_health_percent
        for target in configuration.targets_under(detection):
            count = _endpoints(target)
            if count and 100 * (count - 1) < threshold * count:
                yield written.finding(
                    (*path, "minHealthPercent"),
                    "an ejected endpoint gets requests all the same, unless they have a fallback:"
                    f" less than {threshold}% of the host's are healthy then",
                    "write 0",
                    Code.PANIC_THRESHOLD,
                    Severity.WARNING,
                )
                break


def _detections(configuration: Configuration) -> Iterator[_Detection]:
    for policy in configuration.policies:
        for path, block in policy.blocks():
            if block.outlier_detection:
                yield policy.rule, (*path, "outlierDetection"), block.outlier_detection


def _endpoints(target: Target) -> int:
    """How many there are; 0 if that is only known when their names have been resolved."""
    return 0 if target.per_address else len(target.endpoints)
