"""LLMFallbackPolicy: how failing requests are rescued. The one kind of ours; the mesh does not know it."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from llm_fallback.resources.base import (
    Count,
    Decimal,
    DurationMs,
    FieldError,
    Integer,
    LimitMs,
    Model,
    PortSelector,
    Resource,
)
from llm_fallback.resources.names import DestinationHost, DnsLabel
from llm_fallback.wording import did_you_mean

FAILURES = frozenset(
    {
        "connect-failure", "reset", "5xx", "gateway-error", "retriable-4xx", "response-timeout",
        "first-token-timeout", "error-answer", "empty-answer", "invalid-answer", "cut-answer",
    }
)  # fmt: skip
"""The words of `rescue.failures`; a status such as 429 is one as well."""

DEFAULT_FAILURES = (
    "connect-failure", "reset", "5xx", "429", "response-timeout", "first-token-timeout", "error-answer",
    "cut-answer",
)  # fmt: skip
"""What is rescued where a policy does not say: whatever is no answer, and nothing that may be one."""

_STATUS = re.compile(r"[45][0-9]{2}")
_PREFIX = re.compile(r"[a-z0-9-]{0,40}")


class TargetKind(StrEnum):
    """What a policy can be attached to."""

    VIRTUAL_SERVICE = "VirtualService"
    LLM_ROUTE = "LLMRoute"
    LLM_PROVIDER = "LLMProvider"


_GROUPS = {
    TargetKind.VIRTUAL_SERVICE: "networking.istio.io",
    TargetKind.LLM_ROUTE: "istio.alibabacloud.com",
    TargetKind.LLM_PROVIDER: "istio.alibabacloud.com",
}


class TargetRef(Model):
    """What the policy is for: a resource of its own namespace, or one rule of it by name."""

    group: str = ""
    kind: Annotated[TargetKind, Field(strict=False)]
    name: Annotated[str, Field(min_length=1)]
    section_name: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_of_its_group(self) -> Self:
        if self.group and self.group != (group := _GROUPS[self.kind]):
            raise FieldError(f"{self.kind} is of group {group}; write that, or leave it out", "group")
        if self.section_name and self.kind is TargetKind.LLM_PROVIDER:
            raise FieldError("a provider has no rules; remove it", "sectionName")
        return self


def _failure(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return value  # of the wrong type, as will be said
    if isinstance(value, int) and 400 <= value <= 599:
        return str(value)
    if isinstance(value, str) and (value in FAILURES or _STATUS.fullmatch(value)):
        return value
    close = did_you_mean(value, FAILURES) if isinstance(value, str) else ""
    hint = close or f"write one of {', '.join(sorted(FAILURES))}"
    raise ValueError(f"neither the name of a failure nor a status from 400 to 599; {hint}")


Failure = Annotated[
    str,
    BeforeValidator(_failure),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": sorted(FAILURES)},
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"type": "string", "pattern": f"^{_STATUS.pattern}$"},
            ]
        }
    ),
]
"""What may be rescued, by name or by status."""


class Rescue(Model):
    """Which failures are rescued, by how many attempts in all, and within which time."""

    failures: Annotated[list[Failure], Field(min_length=1)] = list(DEFAULT_FAILURES)
    attempts: Annotated[Integer, Field(ge=1, le=20)] = 4
    deadline: DurationMs = 600_000
    backoff: LimitMs = 0
    unless_slower_than: DurationMs | None = None


class ChainLink(Model):
    """A further target; those with weights that follow each other are one place, shared by weight."""

    host: DestinationHost
    port: PortSelector | None = None
    subset: DnsLabel | None = None
    weight: Annotated[Count, Field(ge=1)] | None = None


class Limits(Model):
    """How long an attempt may take to its response headers, to its first token, and between two tokens."""

    response_headers: DurationMs = 300_000
    first_token: DurationMs = 180_000
    stall: DurationMs = 120_000


class RateLimit(Model):
    """What a provider's `Retry-After` may ask for; `0s` ignores it."""

    max_retry_after: LimitMs = 300_000


class Ejection(Model):
    """How an endpoint comes back: one request at a time until one succeeds, and with a share that grows."""

    probation: bool = False
    slow_start: LimitMs = 0


class Hold(StrEnum):
    """Until when the client gets nothing, so that the answer can still become another's."""

    FIRST_CONTENT = "FirstContent"
    WHOLE_ANSWER = "WholeAnswer"


class Hedging(Model):
    """The next target is asked as well if the first token is not there after the delay."""

    delay: DurationMs


class Budget(Model):
    """How many rescuing attempts there may be at once, as a share of active requests, and at least."""

    percent: Annotated[Decimal, Field(ge=0, le=1000)] = 100
    minimum: Count = 10


class AllEjected(StrEnum):
    """What happens while every target is ejected."""

    FAIL = "Fail"
    TRY_SOONEST = "TrySoonest"


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("not how a header may begin; write at most 40 small letters, digits and hyphens")
    return value


class Headers(Model):
    """The response headers that tell of a rescue; an empty prefix sends none."""

    prefix: Annotated[
        str, AfterValidator(_prefix), Field(json_schema_extra={"pattern": f"^{_PREFIX.pattern}$"})
    ] = "x-llm-fallback-"


class LLMFallbackPolicySpec(Model):
    """What the policy is for, and what it does."""

    target_refs: Annotated[list[TargetRef], Field(min_length=1)]
    rescue: Rescue = Rescue()
    chain: list[ChainLink] = []
    limits: Limits = Limits()
    rate_limit: RateLimit = RateLimit()
    ejection: Ejection = Ejection()
    hold: Annotated[Hold, Field(strict=False)] = Hold.FIRST_CONTENT
    hedging: Hedging | None = None
    budget: Budget = Budget()
    all_ejected: Annotated[AllEjected, Field(strict=False)] = AllEjected.TRY_SOONEST
    max_request_bytes: Annotated[Integer, Field(ge=1, le=2**31 - 1)] = 10 * 1024 * 1024
    headers: Headers = Headers()

    @model_validator(mode="after")
    def _targets_are_distinct(self) -> Self:
        seen: dict[tuple[TargetKind, str, str | None], int] = {}
        for index, ref in enumerate(self.target_refs):
            first = seen.setdefault((ref.kind, ref.name, ref.section_name), index)
            if first != index:
                raise FieldError(f"repeats targetRefs[{first}]; remove it", "targetRefs", index)
        return self


class LLMFallbackPolicy(Resource):
    """`llmfallback.io/v1alpha1` LLMFallbackPolicy."""

    API_VERSIONS: ClassVar = ("llmfallback.io/v1alpha1",)

    spec: LLMFallbackPolicySpec
