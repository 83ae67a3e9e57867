"""Limits on connections and requests, as a DestinationRule sets them."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from llm_fallback.resources.base import (
    Count,
    DurationMs,
    FieldError,
    LimitMs,
    Model,
    UInt32,
    UnsupportedError,
)
from llm_fallback.resources.schemarules import some


class TcpKeepalive(Model):
    """Probes on idle connections; they change nothing that a request experiences."""

    probes: UInt32 | None = None
    time: DurationMs | None = None
    interval: DurationMs | None = None


class TCPSettings(Model):
    """Limits on connections; 0 is no limit."""

    max_connections: Count = 0
    connect_timeout: DurationMs | None = None
    tcp_keepalive: TcpKeepalive | None = None
    idle_timeout: LimitMs | None = None
    max_connection_duration: DurationMs | None = None


class H2UpgradePolicy(StrEnum):
    """Whether connections to the host are HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class HTTPSettings(Model):
    """Limits on requests; 0 is no limit."""

    http1_max_pending_requests: Count = 0
    http2_max_requests: Count = 0
    max_requests_per_connection: Count = 0
    max_retries: Count = 0
    idle_timeout: LimitMs | None = None
    h2_upgrade_policy: Annotated[
        H2UpgradePolicy, Field(strict=False, json_schema_extra={"not": {"const": "UPGRADE"}})
    ] = H2UpgradePolicy.DEFAULT
    use_client_protocol: bool = False
    max_concurrent_streams: Count = 0
    http2_keep_alive: dict[str, Any] = {}  # to HTTP/2 connections, of which there are none

    @model_validator(mode="after")
    def _protocol_is_decided_once(self) -> Self:
        if self.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
            if self.use_client_protocol:
                raise FieldError("excludes h2UpgradePolicy: UPGRADE; keep one of them", "useClientProtocol")
            raise UnsupportedError(
                "HTTP/2 towards endpoints is not supported; write DEFAULT", "h2UpgradePolicy"
            )
        return self


class ConnectionPoolSettings(Model):
    """Limits for a host, per target."""

    model_config = ConfigDict(json_schema_extra=some("tcp", "http"))

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.tcp is None and self.http is None:
            raise ValueError("a connection pool must not be empty; remove it")
        return self
