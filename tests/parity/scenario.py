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
    CONTINUE_500 = "continue-500"  # 100, then 500
    GRPC_UNAVAILABLE = "grpc-14"  # 200, with that grpc-status among the headers
    GRPC_CANCELLED = "grpc-1"
    GRPC_INTERNAL = "grpc-13"


type Behaviour = int | Fault
"""A status, answered with a body that names the endpoint; or a fault."""


@dataclass(frozen=True, slots=True)
class Say:
    """From now on, an endpoint behaves so; `endpoint` None: all of the service's.

    With `once`, only for the next request; after that it answers 200.
    """

    behaviour: Behaviour
    service: str = "primary"
    endpoint: int | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Requests one after the other, each after the answer to the one before."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests at once: each is answered, in the order of arrival, when all have arrived."""

    size: int


@dataclass(frozen=True, slots=True)
class Begin:
    """Requests that stay unanswered until `Release`."""

    size: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """What was begun is answered now, as the endpoints behave now."""


@dataclass(frozen=True, slots=True)
class AwaitReturn:
    """Until nobody of the service is ejected."""

    service: str = "primary"


@dataclass(frozen=True, slots=True)
class Pause:
    """Some time in which nobody asks."""

    seconds: float


type Step = Say | Ask | Burst | Begin | Release | AwaitReturn | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Endpoints behind a host, and `outlierDetection` of its DestinationRule as YAML has it; None: none."""

    endpoints: int = 1
    outlier: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Settings and a timeline.

    `free_choice`: endpoints behave differently and the balancer chooses, so that neither the order of the
    answers nor the number of attempts is determined, but how often each answer comes is. `free_counts`: not
    even that is, only which answers there are.
    """

    name: str
    primary: Service
    steps: tuple[Step, ...]
    fallback: Service | None = None
    method: str = "POST"
    body_size: int = 16
    keep_alive: bool = False
    free_choice: bool = False
    free_counts: bool = False

    @property
    def services(self) -> dict[str, Service]:
        """The services by name."""
        return {"primary": self.primary} | ({"fallback": self.fallback} if self.fallback else {})

    def host(self, service: str) -> str:
        """The host name of a service; no other scenario has it."""
        return f"{service}.{self.name}.test"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got; a local reply is one that no endpoint gave.

    `headers` are all of a local reply's, and of an endpoint's answer the names alone.
    """

    status: int
    body: str
    is_cut: bool = False
    is_local: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The answers of one step, and how many requests each endpoint saw in it."""

    step: Step
    answers: tuple[Answer, ...] = ()
    arrivals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ejection:
    """An ejection: in which step, of whom, why, and for how long (None: not over when the play was)."""

    step: int
    endpoint: str
    reason: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """All that was seen in one play; `refused` counts connections that endpoints refused."""

    steps: tuple[StepRecord, ...]
    ejections: tuple[Ejection, ...]
    refused: Mapping[str, int]
