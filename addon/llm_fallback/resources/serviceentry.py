"""Istio's ServiceEntry: the ports and endpoints behind hosts."""

import ipaddress
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from llm_fallback.addresses import is_address
from llm_fallback.resources.base import (
    Expanded,
    FieldError,
    Model,
    OptionalPort,
    PortNumber,
    UInt32,
    UnsupportedError,
    unsupported,
)
from llm_fallback.resources.istio import IstioResource, Spec
from llm_fallback.resources.names import (
    DnsLabel,
    Labels,
    ServicePattern,
    parse_named_host,
)

_UNIX = "unix://"


class Resolution(StrEnum):
    """How the endpoints of a host are found."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"


class Location(StrEnum):
    """Whether the hosts are of the mesh: to Istio a matter of mutual TLS and metrics only."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Protocol(StrEnum):
    """What is spoken on a port; an unnamed one is HTTP, as Istio finds out by looking."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TLS = "TLS"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTP_PROXY = "HTTP_PROXY"
    HBONE = "HBONE"
    TCP = "TCP"
    UDP = "UDP"
    MONGO = "MONGO"
    REDIS = "REDIS"
    MYSQL = "MYSQL"

    @property
    def is_tls(self) -> bool:
        """Whether clients speak TLS."""
        return self in (Protocol.HTTPS, Protocol.TLS)

    @property
    def is_http(self) -> bool:
        """Whether clients speak HTTP without TLS."""
        return self in _HTTP


_HTTP = frozenset(
    {
        Protocol.HTTP,
        Protocol.HTTP2,
        Protocol.GRPC,
        Protocol.GRPC_WEB,
        Protocol.HTTP_PROXY,
        Protocol.HBONE,
    }
)


def _capitals(value: object) -> object:
    if isinstance(value, str):
        capitals = value.upper() or Protocol.HTTP.value
        return Expanded(capitals) if isinstance(value, Expanded) else capitals
    return value


class ServicePort(Model):
    """A port that clients address, and the one that is dialled instead.

    Requests come to ports that speak HTTP or TLS; nothing is routed to the others.
    """

    number: PortNumber
    name: DnsLabel
    protocol: Annotated[Protocol, Field(strict=False), BeforeValidator(_capitals)] = Protocol.HTTP
    target_port: OptionalPort = None


def _address(value: str) -> str:
    if value.startswith(_UNIX):
        path = value.removeprefix(_UNIX)
        if path.startswith("@") or (path.startswith("/") and not path.endswith("/")):
            raise UnsupportedError("a Unix socket as endpoint is not supported; write an IP address")
        raise ValueError("not the path of a Unix socket; write an IP address or a DNS name")
    if is_address(value):
        return value
    return parse_named_host(value)


class WorkloadEntry(Model):
    """One address behind the hosts, with ports of its own by port name; a weight of 0 is 1.

    Where it is and whose it is change nothing here: the proxy has no place, and no identity of the mesh's.
    """

    NOT_SUPPORTED = frozenset({"network"})

    address: Annotated[str, AfterValidator(_address)]
    ports: dict[DnsLabel, PortNumber] = {}
    labels: Labels = {}
    weight: UInt32 = 0
    locality: str = ""
    service_account: str = ""


def _subnet(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("not an IP address or a CIDR block; write one such as 10.0.0.1") from None
    return value


class ServiceEntrySpec(Spec):
    """The hosts, their ports and their endpoints."""

    NOT_SUPPORTED = frozenset({"workloadSelector"})

    hosts: Annotated[list[ServicePattern], Field(min_length=1)]
    ports: list[ServicePort] = []
    resolution: Annotated[
        Resolution,
        Field(strict=False),
        unsupported("DYNAMIC_DNS", write="DNS and full names of hosts"),
    ] = Resolution.NONE
    endpoints: list[WorkloadEntry] = []
    subject_alt_names: list[str] = []
    addresses: list[Annotated[str, AfterValidator(_subnet)]] = []
    location: Annotated[Location, Field(strict=False)] = Location.MESH_EXTERNAL

    @model_validator(mode="after")
    def _endpoints_fit_resolution(self) -> Self:
        if self.resolution is Resolution.NONE and self.endpoints:
            raise FieldError("resolution NONE has no endpoints; write STATIC or DNS", "endpoints")
        if self.resolution is Resolution.DNS_ROUND_ROBIN and len(self.endpoints) > 1:
            raise FieldError("resolution DNS_ROUND_ROBIN has at most one endpoint; write DNS", "endpoints")
        if self.resolution is Resolution.STATIC:
            for index, endpoint in enumerate(self.endpoints):
                if not is_address(endpoint.address):
                    raise FieldError(
                        "resolution STATIC needs IP addresses; write DNS for host names",
                        "endpoints", index, "address",
                    )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _names_can_be_resolved(self) -> Self:
        if self.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN) and not self.endpoints:
            for index, host in enumerate(self.hosts):
                if "*" in host:
                    raise FieldError(
                        "a wildcard has no address in the DNS; add endpoints, or write the full name",
                        "hosts", index,
                    )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _endpoint_ports_exist(self) -> Self:
        names = {port.name for port in self.ports}
        for index, endpoint in enumerate(self.endpoints):
            if unknown := endpoint.ports.keys() - names:
                raise FieldError(
                    f"{min(unknown)!r} is no name of a port of this ServiceEntry; write one of spec.ports",
                    "endpoints", index, "ports", min(unknown),
                )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _ports_are_distinct(self) -> Self:
        for what in ("number", "name"):
            seen: set[object] = set()
            for index, port in enumerate(self.ports):
                if getattr(port, what) in seen:
                    raise FieldError(
                        f"another port has the same {what}; write one of its own", "ports", index, what
                    )
                seen.add(getattr(port, what))
        return self

    @model_validator(mode="after")
    def _hosts_can_be_told_apart(self) -> Self:
        if len(self.hosts) > 1 and self.resolution is not Resolution.NONE:
            for index, port in enumerate(self.ports):
                if not (port.protocol.is_http or port.protocol.is_tls):
                    raise FieldError(
                        f"hosts cannot be told apart by {port.protocol.value}; keep one host",
                        "ports", index, "protocol",
                    )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _blocks_fit_resolution(self) -> Self:
        if self.resolution not in (Resolution.NONE, Resolution.STATIC):
            for index, address in enumerate(self.addresses):
                if "/" in address:
                    raise FieldError("a CIDR block needs resolution NONE or STATIC", "addresses", index)
        return self


class ServiceEntry(IstioResource):
    """`networking.istio.io` ServiceEntry."""

    MAY_BE_HIDDEN: ClassVar = True

    spec: ServiceEntrySpec
