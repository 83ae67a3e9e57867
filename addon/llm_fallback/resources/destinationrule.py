"""Istio's DestinationRule: TLS and outlier detection of a host."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from llm_fallback.resources.base import (
    DurationMs,
    Host,
    Ignored,
    Integer,
    Model,
    Percent,
    PortSelector,
    Resource,
)

Count = Annotated[Integer, Field(ge=0)]


class TlsMode(StrEnum):
    """How connections to the host are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"


class ClientTlsSettings(Model):
    """TLS towards the host; no CA means the system's."""

    NOT_SUPPORTED = frozenset({"clientCertificate", "privateKey", "credentialName", "caCrl"})

    mode: Annotated[TlsMode, Field(strict=False)]
    sni: Annotated[str, Field(min_length=1)] | None = None
    ca_certificates: Annotated[str, Field(min_length=1)] | None = None
    subject_alt_names: list[str] = []
    insecure_skip_verify: bool = False


class OutlierDetection(Model):
    """Istio's view of Envoy outlier detection; defaults are Envoy's."""

    NOT_SUPPORTED = frozenset({"outlierDetectionHttpErrorCodes"})

    consecutive_5xx_errors: Annotated[Count, Field(alias="consecutive5xxErrors")] = 5
    consecutive_gateway_errors: Count = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: Count | None = None
    interval: DurationMs = 10_000
    base_ejection_time: DurationMs = 30_000
    max_ejection_percent: Percent = 0
    min_health_percent: Percent = 0
    consecutive_errors: Count | None = None  # deprecated, and without effect in Istio too

    @model_validator(mode="after")
    def _local_origin_needs_split(self) -> Self:
        if self.consecutive_local_origin_failures and not self.split_external_local_origin_errors:
            raise ValueError(
                "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true beside it"
            )
        return self


class PortTrafficPolicy(Model):
    """The policy of one port; it replaces the rule's policy, nothing is inherited."""

    NOT_SUPPORTED = frozenset({"connectionPool", "loadBalancer"})

    port: PortSelector
    tls: ClientTlsSettings | None = None
    outlier_detection: OutlierDetection | None = None


class TrafficPolicy(Model):
    """The policy of all ports without an entry of their own."""

    NOT_SUPPORTED = frozenset({"connectionPool", "loadBalancer", "proxyProtocol", "retryBudget", "tunnel"})

    tls: ClientTlsSettings | None = None
    outlier_detection: OutlierDetection | None = None
    port_level_settings: list[PortTrafficPolicy] = []

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a traffic policy must not be empty; remove it")
        return self


NO_POLICY = TrafficPolicy(outlierDetection=None)
"""What stands for a host without a policy: plain text, and nobody is ever ejected."""


class DestinationRuleSpec(Model):
    """The host and its policy."""

    NOT_SUPPORTED = frozenset({"subsets", "workloadSelector"})

    host: Host
    traffic_policy: TrafficPolicy | None = None
    export_to: Ignored


class DestinationRule(Resource):
    """`networking.istio.io` DestinationRule."""

    API_VERSIONS: ClassVar = (
        "networking.istio.io/v1",
        "networking.istio.io/v1beta1",
        "networking.istio.io/v1alpha3",
    )

    spec: DestinationRuleSpec
