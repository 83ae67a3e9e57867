"""What all kinds share: strictness, metadata, and the field types of the mesh's API."""

import re
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

_UNIT_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_MAX_NS = 2**63 - 1  # Go's time.Duration: 292 years
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?")


class Expanded(str):
    """A value that came from `${NAME}`: never shown to anybody, and a number where a number is wanted."""

    __slots__ = ()


class Model(BaseModel):
    """A piece of a resource: camelCase names, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )

    NOT_SUPPORTED: ClassVar[frozenset[str]] = frozenset()
    """Fields of the mesh's API that would act there and do not act here."""


Ignored = Annotated[Any, Field(default=None)]
"""A field that is accepted because it cannot change what a request experiences here."""


class Metadata(BaseModel):
    """Kubernetes object metadata; what a cluster adds to it (uid, managedFields, ...) is of no interest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1)]
    namespace: str = "default"
    creation_timestamp: Annotated[str | None, Field(alias="creationTimestamp")] = None
    annotations: dict[str, str] = {}


class Resource(Model):
    """One Kubernetes-style document of a kind that is read."""

    API_VERSIONS: ClassVar[tuple[str, ...]]

    api_version: str
    kind: str
    metadata: Metadata
    status: Ignored


def parse_duration_ms(value: object) -> int:
    """Milliseconds of a duration such as `10s`, `1.5s` or `1h30m`.

    Raises ValueError for anything but a whole number of milliseconds, at least one (Istio's validation of
    durations; the syntax is Go's `time.ParseDuration`).
    """
    example = "write a number with a unit of ms, s, m or h, such as 10s"
    if not isinstance(value, str):
        raise ValueError(f"a duration needs a unit; {example}")
    parts = _DURATION_PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.removeprefix("+"):
        raise ValueError(f"not a duration; {example}")
    nanoseconds = sum(Fraction(number) * _UNIT_NS[unit] for number, unit in parts)
    if nanoseconds > _MAX_NS:
        raise ValueError("a duration is at most 292 years")
    if nanoseconds < 10**6 or nanoseconds % 10**6:
        raise ValueError("a duration is a whole number of milliseconds, at least 1ms")
    return int(nanoseconds // 10**6)


def _host(value: str) -> str:
    """A DNS name or IP address, lower-cased: Istio compares hosts without regard to case."""
    lowered = value.lower()
    if "*" in lowered:
        raise ValueError("a host with a wildcard is not supported; write the full name")
    if not _HOST.fullmatch(lowered):
        raise ValueError("not a host name; write a DNS name such as api.example.com")
    return lowered.removesuffix(".")


def _number(value: object) -> object:
    return int(value) if isinstance(value, Expanded) and value.isascii() and value.isdigit() else value


Host = Annotated[str, AfterValidator(_host)]
Integer = Annotated[int, BeforeValidator(_number)]
PortNumber = Annotated[Integer, Field(ge=1, le=65535)]
Percent = Annotated[Integer, Field(ge=0, le=100)]
DurationMs = Annotated[int, BeforeValidator(parse_duration_ms)]


class PortSelector(Model):
    """Istio's way to name a port of a service."""

    number: PortNumber
