"""Mesh YAML for tests: hosts of LLM providers that are really on 127.0.0.1."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PATH = "/compatible-mode/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An LLMProvider's host, and what the mesh is told about it.

    `port` None: no ServiceEntry. `threshold` None: no outlier detection. `key` may be `${NAME}`.
    """

    name: str
    port: int | None = None
    tls: bool = True
    path: str | None = PATH
    model: str | None = "a-model"
    stream: bool | None = None
    key: str | None = None
    threshold: int | None = None
    interval: str = "100ms"
    ejection: str = "300s"
    fallback: str | None = None

    def documents(self) -> Iterator[dict[str, Any]]:
        """The resources."""
        yield self._provider()
        yield self._rule()
        if self.port is not None:
            yield self._entry()
        if self.fallback:
            yield self._service(self.fallback)

    def _provider(self) -> dict[str, Any]:
        settings = {"model": self.model, "stream": self.stream, "apiKey": self.key}
        config = {name: value for name, value in settings.items() if value is not None}
        spec = {"host": self.name, "configs": {"defaultConfig": {"openAIConfig": config}}}
        if self.path is not None:
            spec["path"] = self.path
        annotations = {"asm.alibabacloud.com/custom-destinationrule": "true"}
        return self._resource("istio.alibabacloud.com/v1beta1", "LLMProvider", spec, annotations)

    def _rule(self) -> dict[str, Any]:
        policy: dict[str, Any] = {"tls": {"mode": "SIMPLE" if self.tls else "DISABLE"}}
        if self.threshold is not None:
            policy["outlierDetection"] = {
                "consecutive5xxErrors": self.threshold,
                "interval": self.interval,
                "baseEjectionTime": self.ejection,
                "maxEjectionPercent": 100,
                "minHealthPercent": 0,
            }
        spec = {"host": self.name, "trafficPolicy": policy}
        return self._resource("networking.istio.io/v1beta1", "DestinationRule", spec)

    def _entry(self) -> dict[str, Any]:
        spec = {
            "hosts": [self.name],
            "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": self.port}],
            "endpoints": [{"address": "127.0.0.1"}],
        }
        return self._resource("networking.istio.io/v1", "ServiceEntry", spec)

    def _service(self, fallback: str) -> dict[str, Any]:
        destination = {"host": self.name, "port": {"number": 80}}
        route = {"destination": destination, "fallback": {"target": {"host": fallback}}}
        spec = {"hosts": [self.name], "http": [{"name": f"{self.name}-route", "route": [route]}]}
        return self._resource("networking.istio.io/v1", "VirtualService", spec)

    def _resource(
        self, version: str, kind: str, spec: dict[str, Any], annotations: dict[str, str] | None = None
    ) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": self.name.partition(".")[0]}
        if annotations:
            metadata["annotations"] = annotations
        return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def write_mesh(folder: Path, *hosts: Host) -> Path:
    """Write the hosts' YAML into a file of the folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "mesh.yaml"
    documents = [document for host in hosts for document in host.documents()]
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    return file
