"""Intent: the kinds that people write, one module per kind.

A kind lists the fields that act. A field of the mesh's that does not act here is named in `NOT_SUPPORTED`, so
that it is reported; a field that cannot change what a request experiences has its type, and nobody reads it.
"""

from llm_fallback.resources.base import Resource
from llm_fallback.resources.destinationrule import DestinationRule
from llm_fallback.resources.llmfallbackpolicy import LLMFallbackPolicy
from llm_fallback.resources.llmprovider import LLMProvider
from llm_fallback.resources.llmroute import LLMRoute
from llm_fallback.resources.serviceentry import ServiceEntry
from llm_fallback.resources.virtualservice import VirtualService

KINDS: dict[str, type[Resource]] = {
    kind.__name__: kind
    for kind in (
        DestinationRule,
        LLMFallbackPolicy,
        LLMProvider,
        LLMRoute,
        ServiceEntry,
        VirtualService,
    )
}
"""Every kind that is read, by the name that YAML gives it."""

HARMLESS_KINDS = frozenset({"Gateway", "IstioGateway", "ProxyConfig", "WorkloadEntry", "WorkloadGroup"})
"""Kinds of the same API groups that cannot change what a request from a sidecar experiences.

Workloads are endpoints of a ServiceEntry with a `workloadSelector` only, which is reported itself.
"""

API_GROUPS = frozenset({version.split("/")[0] for kind in KINDS.values() for version in kind.API_VERSIONS})
"""API groups whose other kinds may change the traffic: one that is not read is reported."""

__all__ = [
    "API_GROUPS",
    "HARMLESS_KINDS",
    "KINDS",
    "DestinationRule",
    "LLMFallbackPolicy",
    "LLMProvider",
    "LLMRoute",
    "Resource",
    "ServiceEntry",
    "VirtualService",
]
