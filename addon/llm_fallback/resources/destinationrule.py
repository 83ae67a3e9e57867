"""Istio's DestinationRule: TLS, limits, load balancing and outlier detection of a host."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from llm_fallback.resources.base import (
    DurationMs,
    FieldError,
    Int32,
    Integer,
    MissingError,
    Model,
    Percent,
    PortSelector,
    UInt32,
    unsupported,
)
from llm_fallback.resources.connectionpool import ConnectionPoolSettings
from llm_fallback.resources.istio import IstioResource, Spec
from llm_fallback.resources.loadbalancer import LoadBalancerSettings
from llm_fallback.resources.names import DnsLabel, HostPattern, Labels
from llm_fallback.resources.schemarules import needed_with, some


class TlsMode(StrEnum):
    """How connections to the host are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"


OptionalText = Annotated[str | None, AfterValidator(lambda value: value or None)]
"""A text that is unset if it is empty, as in all of Istio's fields."""


class ClientTlsSettings(Model):
    """TLS towards the host; no CA means the system's. Files are PEM."""

    model_config = ConfigDict(
        json_schema_extra=needed_with("mode", "MUTUAL", "clientCertificate", "privateKey")
    )

    NOT_SUPPORTED = frozenset({"credentialName", "caCrl"})

    mode: Annotated[
        TlsMode,
        Field(strict=False),
        # It needs certificates that only the mesh issues.
        unsupported("ISTIO_MUTUAL", write="SIMPLE or MUTUAL"),
    ] = TlsMode.DISABLE
    sni: OptionalText = None
    ca_certificates: OptionalText = None
    client_certificate: OptionalText = None
    private_key: OptionalText = None
    subject_alt_names: list[str] = []
    insecure_skip_verify: bool = False

    @model_validator(mode="after")
    def _mutual_has_a_certificate(self) -> Self:
        if self.mode is TlsMode.MUTUAL:
            if self.client_certificate is None and self.private_key is None:
                raise MissingError(
                    "mode MUTUAL needs it, and privateKey; name PEM files", "clientCertificate"
                )
            for name, value in (
                ("clientCertificate", self.client_certificate),
                ("privateKey", self.private_key),
            ):
                if value is None:
                    raise MissingError("mode MUTUAL needs it; name a PEM file", name)
        return self

    @model_validator(mode="after")
    def _checks_what_is_given(self) -> Self:
        if self.insecure_skip_verify and self.mode is not TlsMode.DISABLE:
            for name, value in (
                ("caCertificates", self.ca_certificates),
                ("subjectAltNames", self.subject_alt_names),
            ):
                if value:
                    raise FieldError("insecureSkipVerify: true checks nothing; keep one of the two", name)
        return self


class OutlierDetection(Model):
    """Istio's view of Envoy outlier detection; defaults are Envoy's."""

    consecutive_5xx_errors: Annotated[UInt32, Field(alias="consecutive5xxErrors")] = 5
    consecutive_gateway_errors: UInt32 = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: UInt32 | None = None
    interval: DurationMs = 10_000
    base_ejection_time: DurationMs = 30_000
    max_ejection_percent: Percent = 0
    min_health_percent: Percent = 0
    outlier_detection_http_error_codes: list[Annotated[Integer, Field(ge=100, le=599)]] = []
    consecutive_errors: Int32 | None = None
    """Deprecated, and without effect in Istio too."""

    @model_validator(mode="after")
    def _local_origin_needs_split(self) -> Self:
        if self.consecutive_local_origin_failures and not self.split_external_local_origin_errors:
            raise FieldError(
                "needs splitExternalLocalOriginErrors: true beside it", "consecutiveLocalOriginFailures"
            )
        return self


class PortTrafficPolicy(Model):
    """The policy of one port; it replaces the rule's policy, nothing is inherited."""

    model_config = ConfigDict(
        json_schema_extra=some("tls", "outlierDetection", "connectionPool", "loadBalancer")
    )

    port: PortSelector
    tls: ClientTlsSettings | None = None
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPoolSettings | None = None
    load_balancer: LoadBalancerSettings | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not (self.tls or self.outlier_detection or self.connection_pool or self.load_balancer):
            raise ValueError("a port's policy must not be empty; remove it")
        return self


class TrafficPolicy(Model):
    """The policy of all ports without an entry of their own."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    NOT_SUPPORTED = frozenset({"proxyProtocol", "retryBudget", "tunnel"})

    tls: ClientTlsSettings | None = None
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPoolSettings | None = None
    load_balancer: LoadBalancerSettings | None = None
    port_level_settings: list[PortTrafficPolicy] = []

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a traffic policy must not be empty; remove it")
        return self


class Subset(Model):
    """The endpoints of the host with these labels, and what differs for them."""

    name: DnsLabel
    labels: Labels = {}
    traffic_policy: TrafficPolicy | None = None


class PolicySelector(Model):
    """The workloads whose requests the rule is for."""

    match_labels: Labels = {}


class DestinationRuleSpec(Spec):
    """The host and its policy."""

    host: HostPattern
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] = []
    workload_selector: PolicySelector | None = None

    @model_validator(mode="after")
    def _subsets_are_distinct(self) -> Self:
        seen: set[str] = set()
        for index, subset in enumerate(self.subsets):
            if subset.name in seen:
                raise FieldError("another subset has the same name; rename one", "subsets", index, "name")
            seen.add(subset.name)
        return self


class DestinationRule(IstioResource):
    """`networking.istio.io` DestinationRule."""

    spec: DestinationRuleSpec

    @model_validator(mode="after")
    def _selected_workloads_are_its_own(self) -> Self:
        own = [".", self.metadata.namespace]
        if self.spec.workload_selector and any(entry not in own for entry in self.spec.export_to):
            raise FieldError(
                "with a workloadSelector a rule is for its own namespace; write '.'", "spec", "exportTo"
            )
        return self
