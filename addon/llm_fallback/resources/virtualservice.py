"""Istio's VirtualService for HTTP, with ASM's `fallback` of a destination."""

from typing import Annotated, Self

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, model_validator

from llm_fallback.addresses import is_address
from llm_fallback.resources.base import (
    Count,
    DurationMs,
    FieldError,
    MissingError,
    Model,
    Percent,
    PortSelector,
    UnsupportedError,
)
from llm_fallback.resources.httpactions import (
    CorsPolicy,
    HTTPDirectResponse,
    HTTPFaultInjection,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    MirrorPercentage,
)
from llm_fallback.resources.httpheaders import Headers
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.istio import IstioResource, Spec
from llm_fallback.resources.names import (
    MESH,
    DestinationHost,
    DnsLabel,
    GatewayName,
    parse_host_pattern,
    patterns_around,
)
from llm_fallback.resources.schemarules import all_of, not_both, some


def _virtual_host(value: str) -> str:
    if value.startswith("outbound_."):
        raise UnsupportedError("hosts of gateways between networks are not supported; remove it")
    return value if is_address(value) else parse_host_pattern(value)


VirtualHostName = Annotated[str, AfterValidator(_virtual_host)]


class Destination(Model):
    """A host, and its port and subset where it has several."""

    SHORT_FOR = ("host",)

    host: DestinationHost
    port: PortSelector | None = None
    subset: DnsLabel | None = None


class Fallback(Model):
    """Where a request goes while the destination has no healthy endpoint (ASM)."""

    target: Destination
    case: str | None = None


class HTTPRouteDestination(Model):
    """A destination, its share of the requests, and its fallback."""

    destination: Destination
    weight: Count = 0
    headers: Headers = Headers()
    fallback: Fallback | None = None


class HTTPMirrorPolicy(Model):
    """Where copies of a share of the requests go; without a percentage, of all."""

    destination: Destination
    percentage: MirrorPercentage | None = None

    @property
    def share(self) -> float:
        """How many of a hundred requests are copied."""
        return 100.0 if self.percentage is None else self.percentage.value


class HTTPRoute(Model):
    """One rule: which requests, and what becomes of them. `match` holds alternatives."""

    model_config = ConfigDict(
        json_schema_extra=all_of(
            some("route", "redirect", "directResponse"),
            not_both("route", "redirect"),
            not_both("route", "directResponse"),
            not_both("redirect", "directResponse"),
            not_both("mirror", "mirrors"),
        )
    )

    NOT_SUPPORTED = frozenset({"delegate"})
    REMOVED = {
        "websocketUpgrade": "remove it: connections are upgraded without it",
        **dict.fromkeys(("appendHeaders", "appendRequestHeaders"), "write headers: {request: {add: ...}}"),
        "appendResponseHeaders": "write headers: {response: {add: ...}}",
        "removeRequestHeaders": "write headers: {request: {remove: ...}}",
        "removeResponseHeaders": "write headers: {response: {remove: ...}}",
    }

    name: str = ""
    match: list[HTTPMatchRequest] = []
    route: list[HTTPRouteDestination] = []
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    rewrite: HTTPRewrite | None = None
    timeout: DurationMs | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: list[HTTPMirrorPolicy] = []
    mirror_percentage: MirrorPercentage | None = None
    mirror_percent: Annotated[
        Percent | None,
        # Deprecated; Istio's schema has both spellings.
        Field(validation_alias=AliasChoices("mirrorPercent", "mirror_percent")),
    ] = None
    cors_policy: CorsPolicy | None = None
    headers: Headers = Headers()

    @property
    def mirror_share(self) -> float:
        """How many of a hundred requests are copied to `mirror`."""
        if self.mirror_percentage is not None:
            return self.mirror_percentage.value
        return 100.0 if self.mirror_percent is None else float(self.mirror_percent)

    @model_validator(mode="after")
    def _has_one_action(self) -> Self:
        actions = [
            name
            for name, given in (
                ("route", self.route),
                ("redirect", self.redirect),
                ("directResponse", self.direct_response),
            )
            if given
        ]
        if not actions:
            raise MissingError("is required, or redirect or directResponse instead", "route")
        if len(actions) > 1:
            raise FieldError(f"excludes {actions[0]}; keep one of them", actions[1])
        if actions != ["route"]:
            for name, given in (("fault", self.fault), ("rewrite", self.rewrite)):
                if given:
                    raise FieldError(f"is for requests that are sent on, and there is {actions[0]}", name)
        return self

    @model_validator(mode="after")
    def _mirrors_once(self) -> Self:
        if self.mirror and self.mirrors:
            raise FieldError("mirror and mirrors exclude each other; keep one of them", "mirrors")
        return self

    @model_validator(mode="after")
    def _authority_is_set_once(self) -> Self:
        if self.rewrite and self.rewrite.authority and (places := self.headers.authority_paths()):
            raise FieldError("rewrite.authority sets it as well; keep one of the two", "headers", *places[0])
        return self


class VirtualServiceSpec(Spec):
    """The hosts and their rules, first match first."""

    NOT_SUPPORTED = frozenset({"tls", "tcp", "dubbo"})

    hosts: list[VirtualHostName] = []
    http: list[HTTPRoute] = []
    gateways: list[GatewayName] = []

    @property
    def is_for_sidecars(self) -> bool:
        """Whether the rules are for requests of workloads, not only for those that come in by a gateway."""
        return not self.gateways or MESH in self.gateways

    @model_validator(mode="after")
    def _hosts_are_distinct(self) -> Self:
        if not self.hosts:
            raise UnsupportedError("without hosts it is a delegate, and delegates are not supported", "hosts")
        places = {host: index for index, host in enumerate(self.hosts)}
        if self.is_for_sidecars and "*" in places:
            raise FieldError("'*' is for gateways only; write *.example.com", "hosts", places["*"])
        for index, host in enumerate(self.hosts):
            for pattern in (host, *patterns_around(host)):
                if (other := places.get(pattern, index)) != index:
                    first, second = sorted((index, other))
                    raise FieldError(f"overlaps hosts[{first}]; remove one of the two", "hosts", second)
        return self

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if not self.http:
            raise MissingError("is required", "http")
        return self


class VirtualService(IstioResource):
    """`networking.istio.io` VirtualService."""

    spec: VirtualServiceSpec
