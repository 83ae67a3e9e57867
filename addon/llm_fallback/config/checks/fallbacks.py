"""Whether fallbacks can act, and where they lead."""

from collections.abc import Iterator
from dataclasses import dataclass

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.snapshot import Target
from llm_fallback.config.validate import Written
from llm_fallback.resources import VirtualService
from llm_fallback.resources.llmfallbackpolicy import TargetKind
from llm_fallback.resources.llmprovider import CUSTOM_DESTINATION_RULE
from llm_fallback.resources.virtualservice import Destination, Fallback, HTTPRoute, HTTPRouteDestination

_ALL = 100


@dataclass(frozen=True, slots=True)
class _Use:
    """A destination with a fallback, and where that is written."""

    written: Written[VirtualService]
    path: Path
    rule: str
    destination: Destination
    fallback: Fallback

    @property
    def leads_back(self) -> bool:
        return self.destination.host == self.fallback.target.host


def fallbacks_can_act(configuration: Configuration) -> Iterator[Finding]:
    """A fallback needs a destination that can be without healthy endpoints, or requests that are rescued."""
    for use in _uses(configuration):
        host = use.destination.host
        targets = configuration.targets(use.destination)
        if (
            host in configuration.collection.broken_rule_hosts
            or not targets
            or _is_rescued(configuration, use)
        ):
            continue
        if all(target.endpoints and target.outlier is None for target in targets):
            yield use.written.finding(
                use.path,
                "never acts: without outlierDetection no endpoint of the destination is ever ejected",
                _how_to_detect(configuration, host),
                Code.NO_DETECTOR,
                Severity.WARNING,
            )


def fallbacks_find_nobody_left(configuration: Configuration) -> Iterator[Finding]:
    """A fallback acts when all endpoints are ejected, and so all of them must be let go."""
    for use in _uses(configuration):
        targets = configuration.targets(use.destination)
        if not targets or _is_rescued(configuration, use):
            continue
        percents = [target.outlier.max_ejection_percent for target in targets if target.outlier]
        # Of a lone endpoint, the check of the detector says as much.
        if (
            len(percents) == len(targets)
            and all(percent < _ALL for percent in percents)
            and all(_are_several(target) for target in targets)
        ):
            yield use.written.finding(
                use.path,
                f"never acts: at most {max(percents)}% of the destination's endpoints are ejected, never all",
                f"write maxEjectionPercent: {_ALL} in its outlierDetection",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def fallbacks_are_of_use(configuration: Configuration) -> Iterator[Finding]:
    """A destination that gets no requests has none to give on."""
    for written in configuration.virtual_services:
        for i, rule in enumerate(written.resource.spec.http):
            for j, entry in enumerate(rule.route):
                if entry.fallback and not _gets_requests(entry, rule):
                    path = ("spec", "http", i, "route", j, "fallback")
                    problem = "is never used: the destination has weight 0"
                    yield written.finding(path, problem, "", Code.NO_EFFECT, Severity.INFO)


def fallbacks_lead_elsewhere(configuration: Configuration) -> Iterator[Finding]:
    """The fallback is not the destination itself."""
    for use in _uses(configuration):
        if not use.leads_back:
            continue
        first, second = (
            {target.key for target in configuration.targets(place)}
            for place in (use.destination, use.fallback.target)
        )
        if first and first == second:
            yield use.written.finding(
                (*use.path, "target"),
                "leads to the destination itself, which has no healthy endpoint then",
                "name another host or subset",
                Code.FALLBACK_CYCLE,
                Severity.WARNING,
            )


def fallbacks_end(configuration: Configuration) -> Iterator[Finding]:
    """Hosts may fall back to each other, and a request moves only once: not round and round, nor back."""
    edges: dict[str, list[_Use]] = {}
    for use in _uses(configuration):
        if not use.leads_back:
            edges.setdefault(use.destination.host, []).append(use)
    done: set[str] = set()
    for start in edges:
        if start not in done:
            yield from _cycles(start, edges, done)


def cases_have_an_effect(configuration: Configuration) -> Iterator[Finding]:
    """`fallback.case` is part of ASM's schema, and nobody documents what it does."""
    for use in _uses(configuration):
        if use.fallback.case is not None:
            yield use.written.finding(
                (*use.path, "case"),
                "has no effect",
                "the fallback acts whenever the destination has no healthy endpoint",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def _cycles(start: str, edges: dict[str, list[_Use]], done: set[str]) -> Iterator[Finding]:
    """One finding for each fallback that leads back to a host on the way to it (depth-first search)."""
    way = {start: iter(edges[start])}  # in order
    while way:
        host, left = next(reversed(way.items()))
        use = next(left, None)
        if use is None:
            done.add(host)
            del way[host]
            continue
        target = use.fallback.target.host
        if target in way:
            yield use.written.finding(
                (*use.path, "target", "host"),
                "closes a circle of fallbacks: a request goes one step of it at most, and then gets 503",
                "",
                Code.FALLBACK_CYCLE,
                Severity.INFO,
            )
        elif target in edges and target not in done:
            way[target] = iter(edges[target])


def _uses(configuration: Configuration) -> Iterator[_Use]:
    for written in configuration.virtual_services:
        for i, rule in enumerate(written.resource.spec.http):
            for j, entry in enumerate(rule.route):
                if entry.fallback and _gets_requests(entry, rule):
                    path: Path = ("spec", "http", i, "route", j, "fallback")
                    yield _Use(written, path, rule.name, entry.destination, entry.fallback)


def _gets_requests(entry: HTTPRouteDestination, rule: HTTPRoute) -> bool:
    return entry.weight > 0 or len(rule.route) == 1


def _are_several(target: Target) -> bool:
    return len(target.endpoints) > (0 if target.per_address else 1)


def _is_rescued(configuration: Configuration, use: _Use) -> bool:
    own = configuration.rescues.of_rule(TargetKind.VIRTUAL_SERVICE, use.written, use.rule)
    return own is not None or id(use.written) in configuration.rescued_by_host


def _how_to_detect(configuration: Configuration, host: str) -> str:
    hint = "add it to a DestinationRule for that host"
    provider = configuration.collection.provider_of.get(host)
    if provider and not provider.resource.has_custom_destination_rule:
        return f'{hint}, and annotate {provider.document.name} with {CUSTOM_DESTINATION_RULE}: "true"'
    return hint
