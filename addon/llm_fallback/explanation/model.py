"""What an explanation says. Nothing here holds a credential: all text is redacted when it gets here.

The names of the fields are the keys of the JSON that `as_data` gives; docs/explain.md names them to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import Fault, HeaderOperations, Retries
from llm_fallback.config.snapshot import ConnectionPool, LoadBalancing, Tls
from llm_fallback.headers import Headers
from llm_fallback.json_members import Value
from llm_fallback.outlier import OutlierPolicy


@dataclass(frozen=True, slots=True)
class Request:
    """The request that is explained."""

    method: str
    url: str
    headers: Headers
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why an alternative of a rule does not hold."""

    name: str
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rule that comes before the one that counts, and each of its alternatives."""

    name: str
    source: str
    mismatches: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that the request falls under, the `number`th of `of`; `match` is where its match was written.

    `match` is None for a rule that takes every request.
    """

    name: str
    source: str
    number: int
    of: int
    match: str | None
    match_name: str
    request_headers: HeaderOperations
    response_headers: HeaderOperations


@dataclass(frozen=True, slots=True)
class Answer:
    """What the proxy answers itself; `flags` are Envoy's response flags."""

    status: int
    headers: Headers
    body: str
    flags: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One endpoint: its address and port, and whether it is in rotation."""

    address: str
    is_ejected: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A target as it stands now.

    With `per_address`, `endpoints` are names that DNS resolves to addresses when the proxy runs. `ejects`
    None: nobody ever is ejected. With less than `panic_threshold` percent healthy, ejections are ignored.
    """

    name: str
    host: str
    port: int
    subset: str | None
    resources: tuple[str, ...]
    endpoints: tuple[EndpointState, ...]
    per_address: bool
    is_healthy: bool
    tls: Tls | None
    ejects: OutlierPolicy | None
    panic_threshold: int
    balancing: LoadBalancing
    limits: ConnectionPool


class Use(StrEnum):
    """Where the requests for a destination go, or why they go nowhere."""

    TARGET = "target"
    FALLBACK = "fallback"
    CHAIN = "chain"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Fallback:
    """What a destination has for when none of its endpoints is healthy; no `place`: no such target."""

    name: str
    place: Place | None
    why: str


@dataclass(frozen=True, slots=True)
class Body:
    """What becomes of the body: `set` holds the provider's settings that were written into it.

    `kept` names the settings for which the body's own value stays.
    """

    bytes: int
    set: Mapping[str, Value]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """The first attempt as one of the `endpoints` gets it; `url` has the name of the Host header in it.

    `is_hashed`: consistent hashing has chosen the endpoint. `config` is the one of the LLMProvider's
    configurations that is in force, and `has_providers_key` says that its key goes along. `withheld` names
    the credentials of the client's, of headers and of the query (`?name`), that do not.
    """

    method: str
    url: str
    sni: str | None
    endpoints: tuple[str, ...]
    is_hashed: bool
    config: str | None
    has_providers_key: bool
    headers: Headers
    withheld: tuple[str, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Destination:
    """One of a rule's destinations, and what becomes of the `percent` of the requests that it gets.

    Either something is `sent`, or an `answer` says why not, or neither: all are ejected, and a policy has the
    first one tried that comes back. `chain` are the further targets of the policy; `place` is the one used.
    """

    name: str
    percent: float
    request_headers: HeaderOperations
    response_headers: HeaderOperations
    target: Place | None
    fallback: Fallback | None
    chain: tuple[Place, ...]
    uses: Use
    place: Place | None
    sent: Sent | None
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where a copy of a share of the requests goes; no `place`: no such target, and no copy."""

    name: str
    percent: float
    place: Place | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen to one request.

    `rules` names the resource whose rules are those of the host; None: the host is not managed, and the
    request passes through untouched. With an `answer`, nothing is sent, and there are no destinations.
    `retries` is None where nothing would be tried again, `rescue` where no policy applies, and
    `cors_headers` where there is no CORS policy. `why_no_rescue` says why a policy does not apply.
    """

    request: Request
    rules: str | None
    rejected: tuple[Rejected, ...] = ()
    rule: Rule | None = None
    answer: Answer | None = None
    fault: Fault | None = None
    destinations: tuple[Destination, ...] = ()
    timeout_s: float | None = None
    retries: Retries | None = None
    why_no_retries: str | None = None
    rescue: RescuePolicy | None = None
    why_no_rescue: str | None = None
    mirrors: tuple[Mirror, ...] = ()
    cors_headers: Headers | None = None


def places_of(told: Explanation) -> tuple[Place, ...]:
    """Where the request may be sent, each once."""
    found = [
        place
        for each in told.destinations
        for place in (each.target, each.fallback.place if each.fallback else None, *each.chain, each.place)
    ]
    return tuple({place.name: place for place in found if place}.values())
