"""What a scenario is: the mesh's settings, and a timeline of what providers do and clients ask. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """What an endpoint does instead of answering with a status."""

    REFUSE = "refuse"  # nobody listens
    CLOSE = "close"  # FIN before headers
    RESET = "reset"  # RST before headers
    GARBAGE = "garbage"  # not HTTP
    CUT = "cut"  # 200, then FIN in the middle of a body with a content-length
    CUT_CHUNKED = "cut-chunked"  # 200, then FIN in the middle of a chunked body
    CUT_RESET = "cut-reset"  # 200, then RST in the middle of the body
    CUT_500 = "cut-500"  # 500, then FIN in the middle of the body
    UNTIL_CLOSE = "until-close"  # 200, with a body that ends with the connection
    UNTIL_RESET = "until-reset"  # the same, but RST
    PARTIAL_HEAD = "partial-head"  # FIN in the middle of the headers
    HANG_UP = "hang-up"  # FIN as soon as the connection is there
    HUGE_HEAD = "huge-head"  # 200, with a header of 70 000 bytes
    CONTINUE_200 = "continue-200"  # 100, then 200
    CONTINUE_500 = "continue-500"  # 100, then 500
    HINTS_200 = "hints-200"  # 103, then 200
    BODY_204 = "body-204"  # 204, and the bytes of a body nevertheless
    BODY_304 = "body-304"  # 304 with a content-length, and no body
    SILENT = "silent"  # takes the request and never answers
    STALL = "stall"  # 200, and a body that stops in the middle but does not end
    BLACKHOLE = "blackhole"  # connections are neither accepted nor refused


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with headers of its own; `body` None: one that names the endpoint."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None

    def __str__(self) -> str:
        return f"{self.status} with {self.headers}"


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes, each piece on its way before the next; whoever gets them closes the connection."""

    pieces: tuple[bytes, ...]

    def __str__(self) -> str:
        return str(self.pieces[-1])


CA_FILE = "CA_FILE"

type Behaviour = int | Fault | Reply | Raw
"""A status, answered with a body that names the endpoint; a fault; a status with headers; or any bytes."""


@dataclass(frozen=True, slots=True)
class Say:
    """From now on, an endpoint behaves so; `endpoint` None: all of the service's.

    Several behaviours are for one request each; the last one stays.
    """

    behaviour: Behaviour | tuple[Behaviour, ...]
    service: str = "primary"
    endpoint: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks; None: what the scenario says."""

    service: str = "primary"
    method: str | None = None
    path: str = "/v1/chat/completions"
    headers: tuple[tuple[str, str], ...] = ()
    body_size: int | None = None


CHAT = Request()


@dataclass(frozen=True, slots=True)
class Ask:
    """Requests one after the other, each after the answer to the one before."""

    times: int = 1
    request: Request = CHAT


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests at once: each is answered, in the order of arrival, when all have arrived."""

    size: int
    request: Request = CHAT


@dataclass(frozen=True, slots=True)
class Begin:
    """Requests that stay unanswered until `Release`; `waiting` of them wait in the proxy itself.

    If not `held`, endpoints answer at once as they behave, and only the client does not look yet.
    """

    size: int = 1
    request: Request = CHAT
    waiting: int = 0
    held: bool = True


@dataclass(frozen=True, slots=True)
class Release:
    """What was begun is answered now, as the endpoints behave now."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The clients of what was begun leave."""


@dataclass(frozen=True, slots=True)
class Resolve:
    """From now on, the service's name has the addresses of these endpoints; or none, for the reason given."""

    answer: tuple[int, ...] | str  # or NXDOMAIN, SERVFAIL, EMPTY
    service: str = "primary"


@dataclass(frozen=True, slots=True)
class AwaitReturn:
    """Until nobody of the service is ejected."""

    service: str = "primary"


@dataclass(frozen=True, slots=True)
class Pause:
    """Some time in which nobody asks."""

    seconds: float


type Step = Say | Ask | Burst | Begin | Release | HangUp | Resolve | AwaitReturn | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Endpoints behind a host, and what its DestinationRule says, as YAML has it.

    `outlier` is its `outlierDetection`, `policy` the rest of its `trafficPolicy`, `labels` are those of each
    endpoint and `weights` their weights. `dns`: the endpoints are found by the name of the service, at first
    those with these numbers. `certificate`: they speak TLS, and have a certificate for these names; `CA_FILE`
    in a policy stands for the file with its authority.
    """

    endpoints: int = 1
    outlier: Mapping[str, Any] | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    subsets: tuple[Mapping[str, Any], ...] = ()
    labels: tuple[Mapping[str, str], ...] = ()
    weights: tuple[int, ...] = ()
    dns: tuple[int, ...] | None = None
    certificate: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Settings and a timeline.

    `route` is added to the VirtualService's only rule, which leads to `primary`, or `http` is all of its
    rules; in both, services stand for their hosts. `others` are services besides primary and fallback.

    `free_choice`: endpoints behave differently and the balancer chooses, so that neither the order of the
    answers nor the number of attempts is determined, but how often each answer comes is. `free_counts`: not
    even that is, only which answers there are. `by_endpoint`: how many requests each endpoint sees is
    compared too. `same_ports`: which one is as well, for balancers that go by addresses. `llm`: the services
    are LLM providers, to which the addon (and ASM, but not Envoy) sends their own Host.
    """

    name: str
    primary: Service
    steps: tuple[Step, ...]
    fallback: Service | None = None
    others: Mapping[str, Service] = field(default_factory=dict)
    route: Mapping[str, Any] = field(default_factory=dict)
    http: tuple[Mapping[str, Any], ...] = ()
    method: str = "POST"
    body_size: int = 16
    keep_alive: bool = False
    free_choice: bool = False
    free_counts: bool = False
    by_endpoint: bool = False
    same_ports: bool = False
    llm: bool = False

    @property
    def services(self) -> dict[str, Service]:
        """The services by name."""
        fallback = {"fallback": self.fallback} if self.fallback else {}
        return {"primary": self.primary, **fallback, **self.others}

    def host(self, service: str) -> str:
        """The host name of a service; no other scenario has it."""
        return f"{service}.{self.name}.test"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got, and after how long; a local reply is one that no endpoint gave."""

    status: int
    body: str
    is_cut: bool = False
    is_local: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as an endpoint saw it; `headers` without those that say nothing about the mesh."""

    endpoint: str
    line: str
    headers: tuple[tuple[str, str], ...]
    body_size: int


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The answers of one step, and the requests that endpoints saw in it."""

    step: Step
    answers: tuple[Answer, ...] = ()
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Ejection:
    """An ejection: in which step, of whom, why, and for how long (None: not over when the play was)."""

    step: int
    endpoint: str
    reason: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """All that was seen in one play; `refused` counts connections that could not be made."""

    steps: tuple[StepRecord, ...]
    ejections: tuple[Ejection, ...]
    refused: Mapping[str, int]
