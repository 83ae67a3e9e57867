"""Compiled rules: what a VirtualService or LLMRoute says about requests, as the decisions need it.

Istio settles some of it when it generates a proxy's configuration, and so does the compiler: rules for other
workloads, gateways and ports are not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import RescuePolicy


class Pattern(Protocol):
    """A compiled RE2 expression."""

    pattern: Any

    def fullmatch(self, text: str) -> object | None:
        """Whether the whole text matches."""

    def sub(self, repl: str, text: str) -> str:
        """The text with every match replaced."""


class MatchType(StrEnum):
    """How a StringMatch compares; `present` is Istio's empty match, which any value fulfils."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


@dataclass(frozen=True, slots=True, eq=False)
class StringMatch:
    """A condition on one string; `pattern` is set for a regex, which the whole value must match."""

    type: MatchType
    value: str = ""
    ignore_case: bool = False
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Conditions that must all hold (Istio's HTTPMatchRequest); header names are in lower case."""

    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = field(default_factory=dict)
    without_headers: Mapping[str, StringMatch] = field(default_factory=dict)
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    port: int | None = None
    name: str = ""
    source: str = ""
    """Where it was written, as `file:line`."""


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    """What happens to headers: removals first, then `set` replaces and `add` appends (Envoy's order).

    A name of `:authority` or `host` among requests' stands for the authority. Values may be keys, and are not
    in `repr`; those that came from a variable are `Expanded`.
    """

    set: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    add: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    remove: tuple[str, ...] = ()


NO_OPERATIONS = HeaderOperations()


@dataclass(frozen=True, slots=True)
class Headers:
    """Header operations on the request and on the response."""

    request: HeaderOperations = NO_OPERATIONS
    response: HeaderOperations = NO_OPERATIONS


NO_HEADERS = Headers()


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """How path and authority change: `uri` replaces what was matched, or `pattern` is replaced by `uri`.

    A `uri` that came from a variable is `Expanded`.
    """

    uri: str | None = None
    pattern: Pattern | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """Up to `attempts` retries on the conditions in `retry_on` and the statuses in `codes`.

    `per_try_timeout_s` None: none of its own. The back-off before retry n is up to `backoff_s` x (2^n - 1),
    at most ten times `backoff_s`. `avoid_tried`: prefer endpoints that have not been
    tried.
    """

    attempts: int
    retry_on: frozenset[str]
    codes: frozenset[int] = frozenset()
    per_try_timeout_s: float | None = None
    backoff_s: float = 0.025
    avoid_tried: bool = True


DEFAULT_RETRIES = Retries(2, frozenset({"connect-failure", "refused-stream", "unavailable", "cancelled"}))
"""Istio's retries for routes that say nothing about them (since 1.24: no longer on 503 answers)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Faults for a share of requests, in percent; 0 is never."""

    delay_percent: float = 0.0
    delay_s: float = 0.0
    abort_percent: float = 0.0
    abort_status: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends the client elsewhere; None keeps that part of the URL.

    `port` None is the one that the scheme implies; with `from_request_port` it is the one that the client
    called.
    """

    code: int = 301
    scheme: str | None = None
    authority: str | None = None
    port: int | None = None
    from_request_port: bool = False
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """A fixed answer; a secret body came from a variable."""

    status: int
    body: bytes = field(default=b"", repr=False)
    is_secret: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cors:
    """Which origins may read the answers, and what preflight requests are told."""

    origins: tuple[StringMatch, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age_s: int | None = None
    credentials: bool | None = None
    forward_unmatched_preflights: bool = True


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where a copy of a share of the requests goes; nobody waits for its answer."""

    destination: Destination
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class RouteDestination:
    """Where a share of a route's requests goes, and where instead while nobody there is healthy."""

    destination: Destination
    weight: int = 1
    fallback: Destination | None = None
    headers: Headers = NO_HEADERS
    authority: str | None = None
    """LLMRoute's `hostRewrite`, or a destination's own change of the Host header."""


type Action = tuple[RouteDestination, ...] | Redirect | DirectResponse


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One rule; `matches` are alternatives, and none means every request.

    `source` says where it was written. `llm_rule` names the LLMRoute's rule, which providers' settings may
    depend on. `timeout_s` spans all attempts.
    """

    name: str
    source: str
    action: Action
    matches: tuple[Match, ...] = ()
    is_weighted: bool = False
    """Whether it was written with several destinations, of which some may have no weight."""
    headers: Headers = NO_HEADERS
    rewrite: Rewrite | None = None
    timeout_s: float | None = None
    retries: Retries = DEFAULT_RETRIES
    fault: Fault | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    llm_rule: str | None = None
    rescue: RescuePolicy | None = None


@dataclass(frozen=True, slots=True, eq=False)
class VirtualHost:
    """The rules of a host, in order: the first that matches counts."""

    name: str
    routes: tuple[Route, ...]
