"""How a DestinationRule has an endpoint chosen."""

from enum import StrEnum
from math import isqrt
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from llm_fallback.resources.base import (
    Decimal,
    DurationMs,
    FieldError,
    Integer,
    LimitMs,
    Model,
    unsupported,
)
from llm_fallback.resources.schemarules import not_both

_MAX_TABLE = 5_000_011  # Envoy's bound on Maglev's table
_MAX_RING = 8 * 1024 * 1024  # Envoy's bound; Istio passes more on, and Envoy then refuses the cluster


class SimpleLb(StrEnum):
    """Istio's names; without one, and with LEAST_CONN, it is LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class HTTPCookie(Model):
    """A cookie that is hashed; with a `ttl` it is made where there is none, and one of 0 is a session's."""

    NOT_SUPPORTED = frozenset({"attributes"})

    name: Annotated[str, Field(min_length=1)]
    path: str = ""
    ttl: LimitMs | None = None


_RingSize = Annotated[Integer, Field(ge=0, le=_MAX_RING)]


class RingHash(Model):
    """A ring; 1024 entries at least, unless said otherwise."""

    minimum_ring_size: _RingSize = 0


class MagLev(Model):
    """Maglev's table. A size of 1, which Istio passes on, would be Envoy's end: it divides by 0."""

    table_size: Annotated[Integer, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _is_prime(self) -> Self:
        size = self.table_size
        if not 2 <= size < _MAX_TABLE or any(size % factor == 0 for factor in range(2, isqrt(size) + 1)):
            raise FieldError("a table's size is a prime number below 5000011; write 65537", "tableSize")
        return self


class ConsistentHash(Model):
    """What of a request chooses the endpoint, and how."""

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: _RingSize = 0  # deprecated

    @property
    def subject(self) -> str | HTTPCookie | bool | None:
        """What of a request is hashed; nothing if that is not said."""
        return (
            self.http_header_name or self.http_cookie or self.http_query_parameter_name or self.use_source_ip
        )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        _exclude(
            httpHeaderName=self.http_header_name,
            httpCookie=self.http_cookie,
            useSourceIp=self.use_source_ip,
            httpQueryParameterName=self.http_query_parameter_name,
        )
        _exclude(ringHash=self.ring_hash, maglev=self.maglev)
        _exclude(ringHash=self.ring_hash, maglev=self.maglev, minimumRingSize=self.minimum_ring_size or None)
        return self


def _exclude(**fields: object) -> None:
    """Refuse a second one of fields that exclude each other."""
    given = [name for name, value in fields.items() if value is not None]
    if len(given) > 1:
        raise FieldError(f"{given[0]} and {given[1]} exclude each other; keep one of them", given[1])


class LocalityLbSetting(Model):
    """Preferences for near endpoints: the proxy has no locality, so nothing of it acts."""

    NOT_SUPPORTED = frozenset({"distribute", "failover", "failoverPriority"})

    enabled: bool | None = None


class WarmupConfiguration(Model):
    """How long an endpoint that is new gets less than its share."""

    duration: DurationMs
    minimum_percent: Annotated[Decimal, Field(ge=0, le=100)] | None = None
    aggression: Annotated[Decimal, Field(ge=1)] | None = None


class LoadBalancerSettings(Model):
    """How an endpoint is chosen among those in rotation."""

    model_config = ConfigDict(json_schema_extra=not_both("simple", "consistentHash"))

    simple: (
        Annotated[
            SimpleLb,
            Field(strict=False),
            unsupported("PASSTHROUGH", write="LEAST_REQUEST, ROUND_ROBIN or RANDOM"),
        ]
        | None
    ) = None
    consistent_hash: ConsistentHash | None = None
    warmup: WarmupConfiguration | None = None
    warmup_duration_secs: DurationMs | None = None  # deprecated
    locality_lb_setting: LocalityLbSetting | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        _exclude(simple=self.simple, consistentHash=self.consistent_hash)
        return self
