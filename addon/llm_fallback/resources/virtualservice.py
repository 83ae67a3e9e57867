"""Istio's VirtualService for HTTP, with ASM's `fallback` of a destination."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from llm_fallback.resources.base import Host, Ignored, Integer, Model, PortSelector, Resource


def _sidecars_only(gateways: list[str]) -> list[str]:
    if gateways != ["mesh"]:
        raise ValueError("only the gateway 'mesh' (the sidecars) is supported; leave gateways out")
    return gateways


class Destination(Model):
    """A host, and its port when it has several."""

    NOT_SUPPORTED = frozenset({"subset"})

    host: Host
    port: PortSelector | None = None


class Fallback(Model):
    """Where a request goes while the destination has no healthy endpoint (ASM)."""

    target: Destination
    case: str | None = None


class HTTPRouteDestination(Model):
    """A destination, its share of the requests, and its fallback."""

    NOT_SUPPORTED = frozenset({"headers"})

    destination: Destination
    weight: Annotated[Integer, Field(ge=0)] = 0
    fallback: Fallback | None = None


class HTTPRoute(Model):
    """One rule: where the requests go."""

    NOT_SUPPORTED = frozenset(
        {
            "corsPolicy",
            "delegate",
            "directResponse",
            "fault",
            "headers",
            "match",
            "mirror",
            "mirrorPercent",
            "mirrorPercentage",
            "mirrors",
            "redirect",
            "retries",
            "rewrite",
            "timeout",
        }
    )

    name: str = ""
    route: Annotated[list[HTTPRouteDestination], Field(min_length=1)]


class VirtualServiceSpec(Model):
    """The hosts and their rules, first match first."""

    NOT_SUPPORTED = frozenset({"tls", "tcp"})

    hosts: Annotated[list[Host], Field(min_length=1)]
    http: Annotated[list[HTTPRoute], Field(min_length=1)]
    gateways: Annotated[list[str], AfterValidator(_sidecars_only)] = ["mesh"]
    export_to: Ignored


class VirtualService(Resource):
    """`networking.istio.io` VirtualService."""

    API_VERSIONS: ClassVar = (
        "networking.istio.io/v1",
        "networking.istio.io/v1beta1",
        "networking.istio.io/v1alpha3",
    )

    spec: VirtualServiceSpec
