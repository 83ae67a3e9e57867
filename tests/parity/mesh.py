"""The mesh YAML of scenarios, which both players are configured from."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.parity.scenario import Scenario, Service

type Document = dict[str, Any]
type Ports = Mapping[str, Sequence[int]]
"""The ports of each service's endpoints on 127.0.0.1."""


def documents(scenario: Scenario, ports: Ports) -> list[Document]:
    """LLMProvider, ServiceEntry and DestinationRule of each service, and the VirtualService."""
    found = [_virtual_service(scenario)]
    for name, service in scenario.services.items():
        host = scenario.host(name)
        found += [_provider(host), _entry(host, ports[name]), _rule(host, service)]
    return found


def _resource(version: str, kind: str, name: str, spec: Document, **metadata: Any) -> Document:
    name = name.replace(".", "-")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _provider(host: str) -> Document:
    annotations = {"asm.alibabacloud.com/custom-destinationrule": "true"}
    return _resource(
        "istio.alibabacloud.com/v1beta1", "LLMProvider", host, {"host": host}, annotations=annotations
    )


def _entry(host: str, ports: Sequence[int]) -> Document:
    endpoints = [{"address": "127.0.0.1", "ports": {"http": port}} for port in ports]
    spec = {
        "hosts": [host],
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": endpoints,
    }
    return _resource("networking.istio.io/v1", "ServiceEntry", host, spec)


def _rule(host: str, service: Service) -> Document:
    policy: Document = {"tls": {"mode": "DISABLE"}}
    if service.outlier is not None:
        policy["outlierDetection"] = dict(service.outlier)
    return _resource(
        "networking.istio.io/v1", "DestinationRule", host, {"host": host, "trafficPolicy": policy}
    )


def _virtual_service(scenario: Scenario) -> Document:
    host = scenario.host("primary")
    route: Document = {"destination": {"host": host, "port": {"number": 80}}}
    if scenario.fallback:
        route["fallback"] = {"target": {"host": scenario.host("fallback")}}
    return _resource(
        "networking.istio.io/v1", "VirtualService", host, {"hosts": [host], "http": [{"route": [route]}]}
    )


def seconds(duration: str) -> float:
    """The seconds of a duration in `ms` or `s`."""
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration[:-1])
