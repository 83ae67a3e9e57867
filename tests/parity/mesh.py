"""The mesh YAML of scenarios, which both players are configured from."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.parity.scenario import CA_FILE, Scenario, Service

type Document = dict[str, Any]
type Places = Mapping[str, Sequence[tuple[str, int]]]
"""Address and port of each service's endpoints."""


def documents(scenario: Scenario, places: Places, ca_file: str) -> list[Document]:
    """The VirtualService, and each service's ServiceEntry, DestinationRule and, if it is one, LLMProvider."""
    found = [_virtual_service(scenario)]
    for name, service in scenario.services.items():
        host = scenario.host(name)
        found += [_entry(host, service, places[name]), _rule(host, service, ca_file)]
        if scenario.llm:
            found.append(_provider(host))
    return found


def _resource(version: str, kind: str, name: str, spec: Document, **metadata: Any) -> Document:
    name = name.replace(".", "-")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _provider(host: str) -> Document:
    annotations = {"asm.alibabacloud.com/custom-destinationrule": "true"}
    return _resource(
        "istio.alibabacloud.com/v1beta1", "LLMProvider", host, {"host": host}, annotations=annotations
    )


def _entry(host: str, service: Service, places: Sequence[tuple[str, int]]) -> Document:
    spec: Document = {
        "hosts": [host],
        "resolution": "STATIC" if service.dns is None else "DNS",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
    }
    if service.dns is not None:
        spec["endpoints"] = [{"address": f"dns.{host}", "ports": {"http": places[0][1]}}]
    else:
        spec["endpoints"] = [{"address": address, "ports": {"http": port}} for address, port in places]
        for endpoint, labels in zip(spec["endpoints"], service.labels, strict=False):
            endpoint["labels"] = dict(labels)
        for endpoint, weight in zip(spec["endpoints"], service.weights, strict=False):
            endpoint["weight"] = weight
    return _resource("networking.istio.io/v1", "ServiceEntry", host, spec)


def _rule(host: str, service: Service, ca_file: str) -> Document:
    policy: Document = {"tls": {"mode": "DISABLE"}, **_plain(service.policy)}
    if policy["tls"].get("caCertificates") == CA_FILE:
        policy["tls"]["caCertificates"] = ca_file
    if service.outlier is not None:
        policy["outlierDetection"] = dict(service.outlier)
    spec = {"host": host, "trafficPolicy": policy}
    if service.subsets:
        spec["subsets"] = _plain(service.subsets)
    return _resource("networking.istio.io/v1", "DestinationRule", host, spec)


def _virtual_service(scenario: Scenario) -> Document:
    host = scenario.host("primary")
    route: Document = {"destination": {"host": "primary", "port": {"number": 80}}}
    if scenario.fallback:
        route["fallback"] = {"target": {"host": "fallback"}}
    rules = scenario.http or ({"route": [route], **scenario.route},)
    spec = {"hosts": [host], "http": [_named(scenario, rule) for rule in rules]}
    return _resource("networking.istio.io/v1", "VirtualService", host, spec)


def _named(scenario: Scenario, value: Any) -> Any:
    """The value with hosts instead of services, in every `host` of a destination."""
    if isinstance(value, Mapping):
        return {
            key: scenario.host(item)
            if key == "host" and item in scenario.services
            else _named(scenario, item)
            for key, item in value.items()
        }
    return [_named(scenario, item) for item in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    """The value in the types that YAML has."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def seconds(duration: str) -> float:
    """The seconds of a duration in `ms` or `s`."""
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration[:-1])
