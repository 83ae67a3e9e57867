"""Whether rules get requests, and send them somewhere."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_fallback.config.checks.configuration import Configuration, WrittenRules
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.routes import Match, MatchType, StringMatch
from llm_fallback.config.validate import Written
from llm_fallback.resources.base import Expanded
from llm_fallback.resources.httpactions import METHODS
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.stringmatch import UriMatch

_ANY_PATH = frozenset({".*", ".+", "/.*", "^.*", "^.*$", "^/.*", "^/.*$"})
"""Regular expressions that every path fulfils, as people write them."""


def weights_send_somewhere(configuration: Configuration) -> Iterator[Finding]:
    """Several destinations need a weight above 0 between them."""
    shares: list[tuple[Written[Any], Path, Sequence[Any]]] = [
        (written, ("spec", "http", index, "route"), rule.route)
        for written in configuration.collection.virtual_services
        for index, rule in enumerate(written.resource.spec.http)
    ]
    shares += [
        (llm_route, ("spec", "rules", index, "backendRefs"), llm_rule.backend_refs)
        for llm_route in configuration.collection.llm_routes
        for index, llm_rule in enumerate(llm_route.resource.spec.rules)
    ]
    for resource, path, among in shares:
        if len(among) > 1 and not any(entry.weight for entry in among):
            hint = "give at least one destination a weight"
            yield resource.finding(path, "the weights sum to 0", hint, Code.ZERO_WEIGHT)


def rules_can_be_reached(configuration: Configuration) -> Iterator[Finding]:
    """The first rule that matches takes the request: those after one that takes all get none."""
    for rules in configuration.routes:
        yield from _unreached(rules)


def conditions_can_hold(configuration: Configuration) -> Iterator[Finding]:
    """Paths begin with a slash and end before the query; methods are in capitals, schemes are not."""
    for rules in configuration.routes:
        for path, entry in rules.alternatives():
            if isinstance(entry, HTTPMatchRequest):
                for field, why, hint in _never_fulfilled(entry):
                    problem = f"is never fulfilled: {why}"
                    place = (*path, *field)
                    yield rules.written.finding(place, problem, hint, Code.NO_EFFECT, Severity.WARNING)


def _never_fulfilled(entry: HTTPMatchRequest) -> Iterator[tuple[Path, str, str]]:
    """The conditions of an alternative that no request fulfils: where, why, and what to write instead."""
    for kind, text in _texts_of(entry.uri):
        if "?" in text:
            yield ("uri", kind), "the query is no part of the path", "write queryParams"
        elif text and text != "*" and not text.startswith("/"):  # which OPTIONS asks for
            yield ("uri", kind), "a path begins with /", "begin it with /"
    for kind, text in _texts_of(entry.method):
        if text != text.upper() in METHODS:
            yield ("method", kind), "methods are in capitals", f"write {text.upper()}"
    for kind, text in _texts_of(entry.scheme):
        if text != text.lower():
            yield ("scheme", kind), "schemes are in lower case", "write http or https"


def _texts_of(condition: UriMatch | None) -> Iterator[tuple[str, str]]:
    """What a condition compares with letter by letter, unless it came from a variable."""
    for kind in ("exact", "prefix"):
        text = getattr(condition, kind, None)
        if text is not None and not isinstance(text, Expanded):
            yield kind, text


def _unreached(rules: WrittenRules) -> Iterator[Finding]:
    written, path = rules.written, rules.path
    taken = _Taken()
    takes_all: int | None = None
    for index, alternatives in enumerate(rules.matches):
        if alternatives is None:
            continue  # for somebody else
        if takes_all is not None:
            line = written.document.line((*path, takes_all))
            why = f"the {f'rule at line {line}' if takes_all else 'first rule'} takes every request"
        elif alternatives and all(taken.has(match) for match in alternatives):
            why = "earlier rules take all its requests"
        else:
            if not alternatives or any(_takes_all(match) for match in alternatives):
                takes_all = index
            for match in alternatives:
                taken.add(match)
            continue
        problem = f"is never reached: {why}"
        hint = "remove it, or move it up"
        yield written.finding((*path, index), problem, hint, Code.UNREACHABLE_ROUTE, Severity.WARNING)


class _Taken:
    """What earlier rules took, as far as that is plain: the same conditions, or everything under a path."""

    def __init__(self) -> None:
        self._same: set[object] = set()
        self._prefixes: set[str] = set()
        self._in_any_case: set[str] = set()
        self._lengths: set[int] = set()

    def add(self, match: Match) -> None:
        self._same.add(_key(match))
        uri = match.uri
        if uri and uri.type is MatchType.PREFIX and _is_only_uri(match):
            if uri.ignore_case:
                self._in_any_case.add(uri.value.lower())
            else:
                self._prefixes.add(uri.value)
            self._lengths.add(len(uri.value))

    def has(self, match: Match) -> bool:
        if _key(match) in self._same:
            return True
        uri = match.uri
        if uri is None or uri.type not in (MatchType.PREFIX, MatchType.EXACT):
            return False
        lower = uri.value.lower()
        return any(
            lower[:n] in self._in_any_case or (not uri.ignore_case and uri.value[:n] in self._prefixes)
            for n in self._lengths
            if n <= len(uri.value)
        )


def _takes_all(match: Match) -> bool:
    return _is_only_uri(match) and (_is_anything(match.uri) or _is_every_path(match.uri))


def _is_only_uri(match: Match) -> bool:
    """Whether nothing but the path has a condition that a request could miss."""
    return (
        all(map(_is_anything, (match.scheme, match.method, match.authority)))
        and not (match.headers or match.without_headers or match.query_params)
        and match.port is None
    )


def _is_anything(condition: StringMatch | None) -> bool:
    return (
        condition is None
        or condition.type is MatchType.PRESENT
        or (condition.type is MatchType.REGEX and condition.value == ".*")
    )


def _is_every_path(condition: StringMatch | None) -> bool:
    if condition is None or condition.type is not MatchType.REGEX:
        return condition is not None and condition.type is MatchType.PREFIX and condition.value in ("", "/")
    return condition.value in _ANY_PATH


def _key(match: Match) -> object:
    """What two alternatives with the same conditions share."""
    return (
        *(_text(condition) for condition in (match.uri, match.scheme, match.method, match.authority)),
        *(_texts(fields) for fields in (match.headers, match.without_headers, match.query_params)),
        match.port,
    )


def _texts(fields: Mapping[str, StringMatch]) -> object:
    return frozenset((name, _text(condition)) for name, condition in fields.items())


def _text(condition: StringMatch | None) -> object:
    return condition and (condition.type, condition.value, condition.ignore_case)
