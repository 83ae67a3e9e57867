"""Small resources as people write them, to put together into configurations.

A resource has five lines (separator, apiVersion, kind, metadata, spec), and one for each field of its spec.
"""


def provider(host: str = "a.com", *, name: str = "a", metadata: str = "", **spec: str) -> str:
    """An LLMProvider."""
    return _resource("istio.alibabacloud.com/v1beta1", "LLMProvider", name, metadata, {"host": host} | spec)


CUSTOM = 'annotations: {asm.alibabacloud.com/custom-destinationrule: "true"}'
"""Metadata of an LLMProvider whose DestinationRule is the user's."""


def openai(**config: str) -> str:
    """The value of an LLMProvider's `configs`."""
    inside = ", ".join(f"{key}: {value}" for key, value in config.items())
    return f"{{defaultConfig: {{openAIConfig: {{{inside}}}}}}}"


def entry(host: str = "b.com", *, name: str = "b", metadata: str = "", **spec: str) -> str:
    """A ServiceEntry, of port 80 unless it says otherwise."""
    fields = {"hosts": f"[{host}]", "ports": "[{number: 80, name: http}]"} | spec
    return _resource("networking.istio.io/v1", "ServiceEntry", name, metadata, fields)


def rule(host: str = "b.com", *, name: str = "b", metadata: str = "", **spec: str) -> str:
    """A DestinationRule."""
    return _resource("networking.istio.io/v1", "DestinationRule", name, metadata, {"host": host} | spec)


def virtual_service(*hosts: str, http: str, name: str = "vs", metadata: str = "", **spec: str) -> str:
    """A VirtualService."""
    fields = {"hosts": f"[{', '.join(hosts)}]", "http": http} | spec
    return _resource("networking.istio.io/v1", "VirtualService", name, metadata, fields)


def llm_route(host: str = "a.com", *, rules: str, name: str = "lr", metadata: str = "", **spec: str) -> str:
    """An LLMRoute."""
    fields = {"host": host, "rules": rules} | spec
    return _resource("istio.alibabacloud.com/v1beta1", "LLMRoute", name, metadata, fields)


def policy(*refs: str, name: str = "p", metadata: str = "", **spec: str) -> str:
    """An LLMFallbackPolicy."""
    fields = {"targetRefs": f"[{', '.join(refs)}]"} | spec
    return _resource("llmfallback.io/v1alpha1", "LLMFallbackPolicy", name, metadata, fields)


def to(host: str, *, port: int | None = None) -> str:
    """The value of a VirtualService's `http`: one rule, to one host."""
    place = f", port: {{number: {port}}}" if port else ""
    return f"[{{route: [{{destination: {{host: {host}{place}}}}}]}}]"


def _resource(version: str, kind: str, name: str, metadata: str, spec: dict[str, str]) -> str:
    more = f", {metadata}" if metadata else ""
    fields = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}{more}}}\nspec:\n{fields}"
