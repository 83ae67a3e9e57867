"""What all kinds share: strictness, metadata, durations and numbers."""

import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

_UNIT_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_MAX_NS = 2**63 - 1  # Go's time.Duration: 292 years


class Expanded(str):
    """A value that came from `${NAME}`: never shown to anybody, and a number where a number is wanted."""

    __slots__ = ()


class FieldError(ValueError):
    """What is wrong with a field, said by a check of the model around it; `path` leads there from the model.

    The text may end with a hint after `; `.
    """

    def __init__(self, text: str, *path: str | int) -> None:
        super().__init__(text)
        self.path = path


class UnsupportedError(FieldError):
    """A value that the mesh takes and that does not act here."""


class MissingError(FieldError):
    """A field that is needed because of another one, or instead of one."""


class Model(BaseModel):
    """A piece of a resource: camelCase names, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )

    NOT_SUPPORTED: ClassVar[frozenset[str]] = frozenset()
    """Fields of the mesh's API that would act there and do not act here."""

    REMOVED: ClassVar[Mapping[str, str]] = {}
    """Fields that earlier versions of the mesh had, and what to write instead."""

    SHORT_FOR: ClassVar[tuple[str, ...]] = ()
    """Fields that people mean who write a plain value in place of the mapping."""


_MAX_NAME = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _name(value: str) -> str:
    if len(value) > _MAX_NAME or not _NAME.fullmatch(value):
        raise ValueError("not a resource's name; write lower-case letters, digits, '-' and '.'")
    return value


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ValueError("not a namespace; write lower-case letters, digits and '-'")
    return value


def _time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("not a time; write one such as 2026-01-31T12:00:00Z")
    return time


class Metadata(BaseModel):
    """Kubernetes object metadata; what a cluster adds to it (uid, managedFields, ...) is of no interest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1), AfterValidator(_name)]
    namespace: Annotated[str, AfterValidator(_namespace)] = "default"
    creation_timestamp: Annotated[
        datetime | None, BeforeValidator(_time), Field(alias="creationTimestamp")
    ] = None
    annotations: Annotated[dict[str, str], BeforeValidator(lambda value: {} if value is None else value)] = {}


class Resource(Model):
    """One Kubernetes-style document of a kind that is read."""

    API_VERSIONS: ClassVar[tuple[str, ...]]

    api_version: str
    kind: str
    metadata: Metadata
    status: Any = None  # a cluster's, and whatever it likes


def _nanoseconds(value: object) -> Fraction:
    """Nanoseconds of a duration in Go's syntax (`time.ParseDuration`), without a minus."""
    example = "write a number with a unit of ms, s, m or h, such as 10s"
    if not isinstance(value, str):
        raise ValueError(f"a duration needs a unit; {example}")
    parts = _DURATION_PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.removeprefix("+"):
        raise ValueError(f"not a duration; {example}")
    nanoseconds = sum((Fraction(number) * _UNIT_NS[unit] for number, unit in parts), Fraction())
    if nanoseconds > _MAX_NS:
        raise ValueError("a duration is at most 292 years")
    return nanoseconds


def parse_duration_ms(value: object) -> int:
    """Milliseconds of a duration such as `10s`, `1.5s` or `1h30m`.

    Raises ValueError for anything but a whole number of milliseconds, at least one (Istio's validation of
    durations).
    """
    nanoseconds = _nanoseconds(value)
    if nanoseconds < 10**6 or nanoseconds % 10**6:
        raise ValueError("a duration is a whole number of milliseconds, at least 1ms")
    return int(nanoseconds // 10**6)


def parse_limit_ms(value: object) -> int:
    """As `parse_duration_ms`, and 0 where the duration is `0s`, which is no limit."""
    return 0 if value != "0" and _nanoseconds(value) == 0 else parse_duration_ms(value)


def unsupported(*values: str, write: str) -> BeforeValidator:
    """Refuse values that the mesh takes and that do not act here; `write` is what to write instead."""

    def check(value: object) -> object:
        if value in values:
            raise UnsupportedError(f"is not supported; write {write}")
        return value

    return BeforeValidator(check)


def _whole_seconds(milliseconds: int) -> int:
    if milliseconds % 1000:
        raise ValueError("is a whole number of seconds; write it without a fraction")
    return milliseconds


def _number(value: object) -> object:
    """What is a whole number: also 80.0, as Kubernetes turns YAML into JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, Expanded) and value.isascii() and value.isdigit() else value


def _still_expanded(value: object, validate: ValidatorFunctionWrapHandler) -> str:
    text: str = validate(value)
    return Expanded(text) if isinstance(value, Expanded) else text


def _decimal(value: object) -> object:
    return float(value) if isinstance(value, Expanded) and _DECIMAL.fullmatch(value) else value


KeepsExpanded = WrapValidator(_still_expanded)
"""For texts of which it matters later whether they came from a variable: pydantic makes them plain ones."""

Integer = Annotated[int, BeforeValidator(_number)]
Decimal = Annotated[float, BeforeValidator(_decimal)]
Int32 = Annotated[Integer, Field(ge=-(2**31), le=2**31 - 1)]
Count = Annotated[Integer, Field(ge=0, le=2**31 - 1)]
UInt32 = Annotated[Integer, Field(ge=0, le=2**32 - 1)]
PortNumber = Annotated[Integer, Field(ge=1, le=65535)]
OptionalPort = Annotated[Integer, Field(ge=0, le=65535), AfterValidator(lambda value: value or None)] | None
"""A port that is unset if it is 0, as in all of Istio's fields."""

Percent = Annotated[Integer, Field(ge=0, le=100)]
DurationMs = Annotated[int, BeforeValidator(parse_duration_ms)]
LimitMs = Annotated[int, BeforeValidator(parse_limit_ms)]
WholeSecondsMs = Annotated[DurationMs, AfterValidator(_whole_seconds)]


class PortSelector(Model):
    """Istio's way to name a port of a service."""

    REMOVED = {"name": "write number"}
    SHORT_FOR = ("number",)

    number: PortNumber
