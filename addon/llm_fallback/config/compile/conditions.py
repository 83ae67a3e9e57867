"""From written matches to compiled ones. What Istio decides at configuration time is decided here.

An alternative for another gateway or another workload's labels is left out; a rule all of whose alternatives
are left out is no rule of this proxy's.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

from llm_fallback.config.routes import Match, MatchType, Pattern, StringMatch
from llm_fallback.config.validate import Written
from llm_fallback.resources import LLMRoute, VirtualService
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.llmroute import LLMMatch, LLMRule
from llm_fallback.resources.names import MESH
from llm_fallback.resources.stringmatch import UriMatch, compile_regex
from llm_fallback.resources.virtualservice import HTTPRoute

type Labels = Mapping[str, str]

NAMESPACE = "default"
"""Where the proxy's workload is, as are resources that name no namespace."""

NOT_HEADERS = frozenset({"uri", "scheme", "method", "authority"})
"""No names of headers in a match: they have fields of their own."""

_PRESENT = StringMatch(MatchType.PRESENT)
_ANYTHING = "*"  # Istio's way to ask for presence with a regex


class Others(StrEnum):
    """For whom an alternative is that does not apply here."""

    GATEWAYS = "gateways"
    NAMESPACE = "another namespace"
    WORKLOADS = "other workloads"


def for_others(entry: HTTPMatchRequest | LLMMatch, workload: Labels) -> Others | None:
    """For whom an alternative is, if not for requests of the workload's sidecar."""
    if entry.gateways and MESH not in entry.gateways:
        return Others.GATEWAYS
    if isinstance(entry, HTTPMatchRequest) and entry.source_namespace not in (None, NAMESPACE):
        return Others.NAMESPACE
    return None if entry.source_labels.items() <= workload.items() else Others.WORKLOADS


def matches(
    written: Written[VirtualService], index: int, rule: HTTPRoute, workload: Labels
) -> tuple[Match, ...] | None:
    """The alternatives of a rule; empty if it takes every request, None if it does not apply here."""
    if not rule.match:
        return ()
    found = tuple(
        _match(entry, _place(written, ("spec", "http", index, "match", number)))
        for number, entry in enumerate(rule.match)
        if for_others(entry, workload) is None
    )
    return found or None


def llm_match(
    written: Written[LLMRoute], index: int, rule: LLMRule, workload: Labels
) -> tuple[Match, ...] | None:
    """The alternatives of an LLMRoute's rule, as `matches` has them for a VirtualService's."""
    if not rule.matches:
        return ()
    found = tuple(
        Match(
            headers=_headers(entry.headers),
            source=_place(written, ("spec", "rules", index, "matches", number)),
        )
        for number, entry in enumerate(rule.matches)
        if for_others(entry, workload) is None
    )
    return found or None


def string_match(written: UriMatch | None, *, ignore_case: bool = False) -> StringMatch | None:
    """One condition on a string; an empty one is fulfilled by any value that is there."""
    if written is None:
        return None
    if written.exact is not None:
        return StringMatch(MatchType.EXACT, written.exact, ignore_case)
    if written.prefix is not None:
        return StringMatch(MatchType.PREFIX, written.prefix, ignore_case)
    if written.regex is not None and written.regex != _ANYTHING:
        return StringMatch(MatchType.REGEX, written.regex, pattern=pattern(written.regex))
    return _PRESENT


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """A compiled RE2 expression, which has been checked before."""
    compiled: Pattern = compile_regex(text)
    return compiled


def _match(entry: HTTPMatchRequest, source: str) -> Match:
    return Match(
        uri=string_match(entry.uri, ignore_case=entry.ignore_uri_case),
        scheme=string_match(entry.scheme),
        method=string_match(entry.method),
        authority=string_match(entry.authority),
        headers=_headers(entry.headers),
        without_headers=_headers(entry.without_headers),
        query_params=_conditions(entry.query_params),
        port=entry.port or None,
        name=entry.name,
        source=source,
    )


def _headers(written: Mapping[str, Any]) -> dict[str, StringMatch]:
    return {n.lower(): c for n, c in _conditions(written).items() if n not in NOT_HEADERS}


def _conditions(written: Mapping[str, Any]) -> dict[str, StringMatch]:
    return {name: string_match(condition) or _PRESENT for name, condition in written.items()}


def _place(written: Written[Any], path: tuple[str | int, ...]) -> str:
    return f"{written.document.file}:{written.document.line(path)}"
