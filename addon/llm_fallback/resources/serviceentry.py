"""Istio's ServiceEntry: the ports and endpoints behind a host."""

import ipaddress
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from llm_fallback.resources.base import Host, Ignored, Model, PortNumber, Resource


class Resolution(StrEnum):
    """How the endpoints of a host are found."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"


class Protocol(StrEnum):
    """What is spoken on a port."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TLS = "TLS"


class ServicePort(Model):
    """A port that clients address, and the one that is dialled instead."""

    number: PortNumber
    name: Annotated[str, Field(min_length=1)]
    protocol: Annotated[Protocol, Field(strict=False)] = Protocol.HTTP
    target_port: PortNumber | None = None


class WorkloadEntry(Model):
    """One address behind the host, with ports of its own by port name."""

    NOT_SUPPORTED = frozenset({"network", "weight"})

    address: Annotated[str, Field(min_length=1)]
    ports: dict[str, PortNumber] = {}
    labels: Ignored
    locality: Ignored
    service_account: Ignored


class ServiceEntrySpec(Model):
    """The hosts, their ports and their endpoints."""

    NOT_SUPPORTED = frozenset({"workloadSelector"})

    hosts: Annotated[list[Host], Field(min_length=1)]
    ports: Annotated[list[ServicePort], Field(min_length=1)]
    resolution: Annotated[Resolution, Field(strict=False)] = Resolution.NONE
    endpoints: list[WorkloadEntry] = []
    subject_alt_names: list[str] = []
    addresses: Ignored
    location: Ignored
    export_to: Ignored

    @model_validator(mode="after")
    def _endpoints_fit_resolution(self) -> Self:
        if self.resolution is Resolution.STATIC:
            if not self.endpoints:
                raise ValueError("resolution STATIC needs endpoints")
            for endpoint in self.endpoints:
                _require_ip(endpoint.address)
        if self.resolution is Resolution.NONE and self.endpoints:
            raise ValueError("resolution NONE has no endpoints; write STATIC or DNS")
        if self.resolution is Resolution.DNS_ROUND_ROBIN and len(self.endpoints) > 1:
            raise ValueError("resolution DNS_ROUND_ROBIN has at most one endpoint")
        return self

    @model_validator(mode="after")
    def _endpoint_ports_exist(self) -> Self:
        names = {port.name for port in self.ports}
        for endpoint in self.endpoints:
            if unknown := endpoint.ports.keys() - names:
                raise ValueError(f"an endpoint has a port {min(unknown)!r} that ports does not name")
        return self

    @model_validator(mode="after")
    def _ports_are_distinct(self) -> Self:
        for what in ("number", "name"):
            values = [getattr(port, what) for port in self.ports]
            if len(set(values)) != len(values):
                raise ValueError(f"two ports have the same {what}")
        return self


def _require_ip(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError("resolution STATIC needs IP addresses; write DNS for host names") from None


class ServiceEntry(Resource):
    """`networking.istio.io` ServiceEntry."""

    API_VERSIONS: ClassVar = (
        "networking.istio.io/v1",
        "networking.istio.io/v1beta1",
        "networking.istio.io/v1alpha3",
    )

    spec: ServiceEntrySpec
