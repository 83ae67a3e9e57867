"""Which rule a request falls under, as Envoy's route table decides it. Pure.

Rules are looked through for every request, and most have no matches: what has to be parsed out of the request
is parsed when a match first asks for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_fallback.config.routes import Match, MatchType, Route, StringMatch
from llm_fallback.redaction import is_credential, redact_query


@dataclass(frozen=True, slots=True, repr=False)
class RequestFacts:
    """What matches may ask about a request.

    `authority` is as the client wrote it, with or without port; `path` is without the query; `port` is the
    one that the client called. Headers and query hold credentials: never logged, never stored.
    """

    method: str
    scheme: str
    authority: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    port: int
    _by_name: dict[str, list[str]] = field(default_factory=dict, init=False, compare=False)

    def header_values(self, name: str) -> Sequence[str]:
        """The values of a header by its name in lower case; `host` is the authority."""
        if not self._by_name:
            self._read_headers()
        return self._by_name.get(name, ())

    def header(self, name: str) -> str | None:
        """A header by its name in lower case, repeated ones joined with commas."""
        values = self.header_values(name)
        return ",".join(values) if values else None

    def query_param(self, name: str) -> str | None:
        """The first value of a query parameter, not decoded: that is what Envoy compares."""
        for pair in self.query.split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return value
        return None

    def _read_headers(self) -> None:
        by_name = self._by_name
        for name, value in self.headers:
            by_name.setdefault(name.lower(), []).append(value)
        by_name["host"] = by_name[":authority"] = [self.authority]


def find(routes: tuple[Route, ...], facts: RequestFacts) -> tuple[Route, Match | None] | None:
    """The first rule that the request fulfils, and the match that holds, None where it has none."""
    for route in routes:
        if not route.matches:
            return route, None
        for match in route.matches:
            if matches(match, facts):
                return route, match
    return None


def matches(match: Match, facts: RequestFacts) -> bool:
    """Whether all conditions hold."""
    if match.port is not None and match.port != facts.port:
        return False
    return all(condition.holds() for condition in _conditions(match, facts))


def explain_mismatch(match: Match, facts: RequestFacts) -> str:
    """The first condition that does not hold, as a short sentence without credentials; empty if all hold."""
    if match.port is not None and match.port != facts.port:
        return f"the port is {facts.port}, not {match.port}"
    return next((c.sentence() for c in _conditions(match, facts) if not c.holds()), "")


def string_matches(match: StringMatch, value: str) -> bool:
    """Whether a value fulfils a StringMatch; a regex has to match all of it."""
    text, wanted = (value.lower(), match.value.lower()) if match.ignore_case else (value, match.value)
    match match.type:
        case MatchType.PRESENT:
            return True
        case MatchType.EXACT:
            return text == wanted
        case MatchType.PREFIX:
            return text.startswith(wanted)
        case MatchType.REGEX:
            return _regex_matches(match, value)


class _Condition(NamedTuple):
    """A StringMatch and its subject, of whose values one must match, or none if it is inverted."""

    subject: str
    name: str
    wanted: StringMatch
    values: Sequence[str]
    is_inverted: bool = False

    def holds(self) -> bool:
        if self.values:
            return any(string_matches(self.wanted, value) for value in self.values) is not self.is_inverted
        if not self.is_inverted:
            return False
        # Istio has Envoy take a missing header for an empty one here, unless only its presence is asked for.
        return self.wanted.type is MatchType.PRESENT or not string_matches(self.wanted, "")

    def sentence(self) -> str:
        """Why it does not hold."""
        subject = f"the {self.subject} {self.name}".rstrip()
        if not self.values:
            return f"{subject} is missing" + (", which counts as empty" if self.is_inverted else "")
        is_shown = not is_credential(self.name)
        value = (
            f"is {' and '.join(repr(redact_query(value)) for value in self.values)}"
            if is_shown
            else "is there"
        )
        auxiliary = "must" if self.is_inverted else "does"
        return f"{subject} {value} and {auxiliary} not {self._verb(is_shown=is_shown)}"

    def _verb(self, *, is_shown: bool) -> str:
        value = f"{self.wanted.value!r}" if is_shown else "the value of the rule"
        case = ", in any case" if self.wanted.ignore_case else ""
        match self.wanted.type:
            case MatchType.PRESENT:
                return "be there"
            case MatchType.EXACT:
                return f"equal {value}{case}"
            case MatchType.PREFIX:
                return f"start with {value}{case}"
            case MatchType.REGEX:
                return f"match {value}"


def _conditions(match: Match, facts: RequestFacts) -> Iterator[_Condition]:
    """All conditions but the port's, cheap ones first."""
    if match.uri:
        yield _Condition("path", "", match.uri, [facts.path])
    if match.method:
        yield _Condition("method", "", match.method, [facts.method])
    if match.scheme:
        yield _Condition("scheme", "", match.scheme, [facts.scheme])
    if match.authority:
        yield _Condition("authority", "", match.authority, [facts.authority])
    for name, wanted in match.headers.items():
        yield _Condition("header", name, wanted, facts.header_values(name))
    for name, wanted in match.without_headers.items():
        yield _Condition("header", name, wanted, facts.header_values(name), is_inverted=True)
    for name, wanted in match.query_params.items():
        value = facts.query_param(name)
        yield _Condition("query parameter", name, wanted, [] if value is None else [value])


def _regex_matches(match: StringMatch, value: str) -> bool:
    try:
        return match.pattern is not None and match.pattern.fullmatch(value) is not None
    except UnicodeEncodeError:  # not UTF-8: none of RE2's characters matches such a byte
        return False
