"""ASM's LLMProvider: an external model service, and what requests to it need."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from llm_fallback.resources.base import KeepsExpanded, Model, Resource
from llm_fallback.resources.names import Host

CUSTOM_DESTINATION_RULE = "asm.alibabacloud.com/custom-destinationrule"
"""Annotation that lets a user's DestinationRule replace the one that the provider generates."""

PROVIDER_PORT = 80
"""The port on which clients call every provider."""


def _credential(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError("a key is printable ASCII without spaces, and not empty")
    return value


def _path(value: str) -> str:
    if not value.startswith("/") or not value.isascii() or not value.isprintable() or set(value) & set(" ?#"):
        raise ValueError("a path starts with / and has neither spaces, query nor fragment")
    return value


class OpenAIConfig(Model):
    """What is set in a request to an OpenAI-compatible provider."""

    model: Annotated[str, Field(min_length=1)] | None = None
    stream: bool | None = None
    api_key: Annotated[SecretStr, AfterValidator(_credential)] | None = None


class ProviderConfig(Model):
    """One way to call the provider."""

    open_ai_config: Annotated[OpenAIConfig, Field(alias="openAIConfig")] = OpenAIConfig()


class ProviderConfigs(Model):
    """The default way to call the provider, and what replaces it, by the names of an LLMRoute's rules."""

    default_config: ProviderConfig = ProviderConfig()
    route_specific_configs: dict[str, ProviderConfig] = {}


class WorkloadSelector(Model):
    """The workloads whose requests are changed; none means all."""

    labels: dict[str, str] = {}


class LLMProviderSpec(Model):
    """Where the provider is and how it is called."""

    host: Host
    path: Annotated[str, AfterValidator(_path), KeepsExpanded] | None = None
    workload_selector: WorkloadSelector = WorkloadSelector()
    configs: ProviderConfigs = ProviderConfigs()


class LLMProvider(Resource):
    """`istio.alibabacloud.com/v1beta1` LLMProvider."""

    API_VERSIONS: ClassVar = ("istio.alibabacloud.com/v1beta1",)

    spec: LLMProviderSpec

    @property
    def has_custom_destination_rule(self) -> bool:
        """Whether a user's DestinationRule for this host counts."""
        return self.metadata.annotations.get(CUSTOM_DESTINATION_RULE) == "true"
