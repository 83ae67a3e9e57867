"""What happened, as frozen values: the log, the flow's comment and the metrics are all made from these."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ejected:
    """An endpoint left the rotation; `duration_s` is the ejection time before it is rounded up to a sweep.

    It is infinite where a person has to return it; by hand, the `multiplier` is 0.
    """

    host: str
    port: int
    endpoint: str
    reason: str
    duration_s: float
    multiplier: int
    subset: str | None = None

    @property
    def key(self) -> tuple[str, int, str | None]:
        """What its target is known by."""
        return self.host, self.port, self.subset


@dataclass(frozen=True, slots=True)
class Returned:
    """An endpoint is back in rotation after `duration_s`, or it was out as long when it left its target.

    `is_gone`: DNS or a reload has taken it, or its target, away.
    """

    host: str
    port: int
    endpoint: str
    duration_s: float
    subset: str | None = None
    is_gone: bool = False

    @property
    def key(self) -> tuple[str, int, str | None]:
        """What its target is known by."""
        return self.host, self.port, self.subset


PER_TRY_TIMEOUT = "per-try-timeout"
"""The failure of an attempt whose own time is up, while the request has some left."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What an answer says of itself: the model that made it, tokens as the provider counts them, why it ends.

    None: it does not say. `has_error`: it is a stream that has one in it, whatever its status was.
    """

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str | None = None
    has_error: bool = False


NO_FIGURES = Figures()


@dataclass(frozen=True, slots=True)
class Attempted:
    """One upstream try: what it was, what came of it, and how long that took (up to the response headers).

    `result` is for people. `status` is that of the answer; without one, `failure` is the word of
    `retry.Failure`, or PER_TRY_TIMEOUT. Neither: it was given up, or there was no endpoint to try.
    `began_s` counts from the beginning of the request. `lost_after_s` is when the try was thrown away,
    counted from its own beginning; None for the one whose answer the client gets. `model` is the one that it
    asked for, if that is not left to the client; `figures` are those of a lost answer, as far as it came.
    """

    target: str
    endpoint: str | None
    result: str
    duration_s: float
    status: int | None = None
    failure: str | None = None
    began_s: float = 0.0
    lost_after_s: float | None = None
    model: str | None = None
    figures: Figures = NO_FIGURES


@dataclass(frozen=True, slots=True)
class Rescued:
    """What a policy did for a request: `reasons` say whom it could not have the answer from, and why.

    `is_spent`: nobody was left to ask. `is_too_large`: the request was sent as if there were no policy.
    `client_retries` is how often the client, by its own account, has sent the request before.
    """

    policy: str
    reasons: tuple[str, ...] = ()
    is_spent: bool = False
    is_too_large: bool = False
    client_retries: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """The request as it came, less all that is secret: `path` is redacted.

    `at_s` is when it was complete, in seconds since 1970. `model` is the one that it asks for, as far as its
    body can be read. `headers` are those of REPORTED_HEADERS that it has, by their lower-case names.
    """

    at_s: float
    scheme: str
    path: str
    body_bytes: int
    client: str = ""
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


REPORTED_HEADERS = frozenset({"traceparent", "tracestate", "user-agent", "x-forwarded-for", "x-request-id"})
"""What may be told of a request's headers: who sent it, and which one it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer as the client got it: its size, and when it began, counted from the request.

    `first_byte_s` is None where there was no body. `service_time_s` is what the headers took their provider.
    """

    body_bytes: int = 0
    first_byte_s: float | None = None
    service_time_s: float | None = None
    figures: Figures = NO_FIGURES


NO_ANSWER = Answer()


@dataclass(frozen=True, slots=True)
class Handled:
    """One managed request, from when it was complete to the end of its answer.

    `flags` are Envoy's response flags. `status` is None when the client left before there was one. `source`
    says where the rule was written, None where no rule matched. `rescue` is None where no policy applies.
    `override` says what a person has set that took part. `id` is unique to the request.
    """

    method: str
    host: str
    route: str
    target: str
    instead_of: str | None
    attempts: tuple[Attempted, ...]
    status: int | None
    flags: tuple[str, ...]
    duration_s: float
    source: str | None = None
    rescue: Rescued | None = None
    id: str = ""
    received: Received | None = None
    answer: Answer = NO_ANSWER
    override: str | None = None

    @property
    def answered(self) -> Attempted | None:
        """The attempt whose answer the client got; None where it got the proxy's own, or none."""
        return next((a for a in self.attempts if a.status is not None and a.lost_after_s is None), None)

    @property
    def final_attempt(self) -> Attempted | None:
        """The attempt that was answered, or else the last one."""
        return self.answered or (self.attempts[-1] if self.attempts else None)


@dataclass(frozen=True, slots=True)
class Acted:
    """A person has done something about the proxy: what, in a sentence, and the target if it is one."""

    text: str
    target: str | None = None


type Event = Ejected | Returned | Handled | Acted
