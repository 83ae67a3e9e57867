"""What happened, as frozen values: the log, the flow's comment and the metrics are all made from these."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ejected:
    """An endpoint left the rotation; `duration_s` is the ejection time before it is rounded up to a sweep."""

    host: str
    port: int
    endpoint: str
    reason: str
    duration_s: float
    multiplier: int
    subset: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """An endpoint is back in rotation after `duration_s`."""

    host: str
    port: int
    endpoint: str
    duration_s: float
    subset: str | None = None


PER_TRY_TIMEOUT = "per-try-timeout"
"""The failure of an attempt whose own time is up, while the request has some left."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """One upstream try: what it was, what came of it, and how long that took (up to the response headers).

    `result` is for people. `status` is that of the answer; without one, `failure` is the word of
    `retry.Failure`, or PER_TRY_TIMEOUT. Neither: it was given up, or there was no endpoint to try.
    """

    target: str
    endpoint: str | None
    result: str
    duration_s: float
    status: int | None = None
    failure: str | None = None


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
class Handled:
    """One managed request, from when it was complete to the end of its answer.

    `flags` are Envoy's response flags. `status` is None when the client left before there was one. `source`
    says where the rule was written, None where no rule matched. `rescue` is None where no policy applies.
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


type Event = Ejected | Returned | Handled
