"""ASM's LLMRoute: which of several providers answers requests to a host."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from llm_fallback.resources.base import Count, Model, Resource, UnsupportedError
from llm_fallback.resources.httpmatch import MatchedHeader
from llm_fallback.resources.names import MESH, GatewayName, Host, Labels
from llm_fallback.resources.stringmatch import StringMatch


class LLMMatch(Model):
    """Conditions that must all hold."""

    headers: dict[MatchedHeader, StringMatch] = {}
    source_labels: Labels = {}
    gateways: list[GatewayName] = []


class BackendRef(Model):
    """A provider, and its share of the requests."""

    provider_host: Host
    weight: Count | None = None
    host_rewrite: Host | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_provider(cls, value: Any) -> Any:
        if isinstance(value, dict) and "backendRef" in value:
            raise UnsupportedError(
                "backends in the cluster are not supported; write providerHost", "backendRef"
            )
        return value


class LLMRule(Model):
    """One rule; `matches` holds alternatives, and none means every request."""

    name: str = ""
    matches: list[LLMMatch] = []
    backend_refs: Annotated[list[BackendRef], Field(min_length=1)]


class LLMRouteSpec(Model):
    """The host and its rules, first match first."""

    host: Host
    rules: Annotated[list[LLMRule], Field(min_length=1)]
    gateways: list[GatewayName] = []

    @property
    def is_for_sidecars(self) -> bool:
        """Whether the rules are for requests of workloads, not only for those that come in by a gateway."""
        return not self.gateways or MESH in self.gateways


class LLMRoute(Resource):
    """`istio.alibabacloud.com/v1beta1` LLMRoute."""

    API_VERSIONS: ClassVar = ("istio.alibabacloud.com/v1beta1",)

    spec: LLMRouteSpec
