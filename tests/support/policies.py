"""Mesh YAML with LLMFallbackPolicies in it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_fallback.config.compile.rescue import rescue_policy
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.resources.llmfallbackpolicy import LLMFallbackPolicySpec
from tests.support.mesh import Host

type Document = dict[str, Any]


def policy(*services: str, name: str = "rescue", kind: str = "VirtualService", **spec: object) -> Document:
    """A policy for the VirtualServices (or what `kind` says) of these names, with this in its spec."""
    targets = [{"kind": kind, "name": service} for service in services]
    metadata = {"name": name}
    return {
        "apiVersion": "llmfallback.io/v1alpha1",
        "kind": "LLMFallbackPolicy",
        "metadata": metadata,
        "spec": {"targetRefs": targets, **spec},
    }


def compiled(name: str = "p", source: str = "p.yaml:1", **changes: Any) -> RescuePolicy:
    """A policy as it runs: a short one with this in place of its defaults."""
    written = LLMFallbackPolicySpec.model_validate({"targetRefs": [{"kind": "VirtualService", "name": "vs"}]})
    return replace(rescue_policy(written, name=name, source=source), **changes)


def with_connect_timeout(document: Document, milliseconds: int) -> Document:
    """The document; if it is a DestinationRule, with this limit to connecting."""
    if document["kind"] == "DestinationRule":
        pool = {"tcp": {"connectTimeout": f"{milliseconds}ms"}}
        document["spec"]["trafficPolicy"]["connectionPool"] = pool
    return document


def write_rescued(folder: Path, hosts: Iterable[Host], *policies: Mapping[str, Any]) -> Path:
    """Write hosts and policies into a file of the folder."""
    return write_documents(folder, [*(d for host in hosts for d in host.documents()), *policies])


def write_documents(folder: Path, documents: Iterable[Mapping[str, Any]]) -> Path:
    """Write a file of the folder; JSON is YAML, and quicker to write."""
    folder.mkdir(exist_ok=True)
    file = folder / "mesh.yaml"
    file.write_text("".join(f"---\n{json.dumps(document)}\n" for document in documents), encoding="utf-8")
    return file
