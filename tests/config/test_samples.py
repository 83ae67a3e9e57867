"""Folders such as guides and samples of meshes have them load; what does not act here is named."""

from pathlib import Path

import pytest

from llm_fallback.config import load
from llm_fallback.config.findings import Severity
from tests.config.conftest import Load
from tests.config.written import entry, rule, virtual_service

SAMPLES = Path(__file__).parent / "samples"
A = entry("a.com", name="a")


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_samples_load(path: Path) -> None:
    """With exactly the findings in the text beside it, none of them an error."""
    loaded = load([path], {})
    assert loaded.snapshot is not None
    said = [f"{f.severity.value}{str(f).removeprefix(str(path))}" for f in loaded.findings]
    assert said == path.with_suffix(".txt").read_text().splitlines()


def test_all_samples_together_act_on_one_another() -> None:
    """A folder of them: nothing is an error but a name and a host that two of them have."""
    loaded = load([SAMPLES], {})
    errors = [f for f in loaded.findings if f.severity is Severity.ERROR]
    assert [(Path(f.file).name, f.code, f.field) for f in errors] == [
        ("neighbours.yaml", "duplicate-resource", "metadata.name"),
        ("neighbours.yaml", "duplicate-host", "spec.hosts[0]"),
    ]


def tls(host: str = "a.com", *, condition: str = "port: 443, sniHosts: [a.com]", more: str = "") -> str:
    """The value of a VirtualService's `tls`."""
    return f"[{{match: [{{{condition}}}], route: [{{destination: {{host: {host}{more}}}}}]}}]"


TO_A = "[{route: [{destination: {host: a.com}}]}]"


def routed(**spec: str) -> str:
    """A VirtualService of a.com with a route, and more."""
    return virtual_service("a.com", http=TO_A, **spec)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(
            routed(tls=tls("b.com")),
            "VirtualService/vs: spec.tls unsupported-field",
            id="tls-leads-elsewhere",
        ),
        pytest.param(
            routed(tls=tls(more=", subset: v1")), "VirtualService/vs: spec.tls unsupported-field", id="subset"
        ),
        pytest.param(
            routed(tls=tls(more=", port: {number: 444}")),
            "VirtualService/vs: spec.tls unsupported-field",
            id="another-port",
        ),
        pytest.param(
            routed(tls=tls(condition="sniHosts: ['*.com']")),
            "VirtualService/vs: spec.tls unsupported-field",
            id="other-names",
        ),
        pytest.param(routed(tls="1"), "VirtualService/vs: spec.tls unsupported-field", id="no-rules-at-all"),
        pytest.param(
            virtual_service("a.com", http="[{delegate: {name: b}}]", gateways="[front, mesh]"),
            "VirtualService/vs: spec.http[0].delegate unsupported-field",
            id="delegate-for-the-mesh-too",
        ),
        pytest.param(
            virtual_service("'*'", http="[{timeout: 1, redirect: {uri: /}}]", gateways="[front]"),
            "VirtualService/vs: spec.http[0].timeout invalid-value",
            id="wrong-for-gateways-too",
        ),
        pytest.param(
            rule("a.com", name="a", trafficPolicy="{tls: {mode: ISTIO_MUTUAL}}"),
            "DestinationRule/a: spec.trafficPolicy.tls.mode unsupported-value",
            id="rule-of-a-host-that-is-here",
        ),
        pytest.param(
            rule("'*.com'", name="a", trafficPolicy="{tls: {mode: ISTIO_MUTUAL}}"),
            "DestinationRule/a: spec.trafficPolicy.tls.mode unsupported-value",
            id="wildcard-over-a-host-that-is-here",
        ),
        pytest.param(
            rule("b.com", trafficPolicy="{tls: {mode: ISTIO_MUTAL}}"),
            "DestinationRule/b: spec.trafficPolicy.tls.mode invalid-value",
            id="wrong-for-nobody-too",
        ),
        pytest.param(
            "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\n"
            "spec: {egress: [{hosts: [./*]}]}\n",
            "Sidecar/s: kind unsupported-kind",
            id="sidecar-for-calls",
        ),
        pytest.param(
            "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\n"
            "spec: {configPatches: [{match: {context: GATEWAY}}, {match: {context: SIDECAR_OUTBOUND}}]}\n",
            "EnvoyFilter/e: kind unsupported-kind",
            id="filter-for-calls",
        ),
        pytest.param(
            "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\n"
            "spec: {configPatches: [{applyTo: CLUSTER}]}\n",
            "EnvoyFilter/e: kind unsupported-kind",
            id="filter-for-everything",
        ),
        pytest.param(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: h}\n"
            "spec: {parentRefs: [{name: front}, {kind: ServiceEntry, name: a}]}\n",
            "HTTPRoute/h: spec.parentRefs[1] unsupported-kind",
            id="route-of-a-service-entry",
        ),
    ],
)
def test_what_would_act_is_an_error(load_yaml: Load, text: str, error: str) -> None:
    """The same constructions where they change what happens to requests of the hosts that are here."""
    loaded = load_yaml(A + text)
    assert loaded.snapshot is None
    errors = [f for f in loaded.findings if f.severity is Severity.ERROR]
    assert [f"{f.resource}: {f.field} {f.code}" for f in errors] == [error]


def test_http_rules_act_beside_those_for_other_connections(load_yaml: Load) -> None:
    """And those alone leave the host its own route."""
    loaded = load_yaml(
        A + virtual_service("a.com", http="[{directResponse: {status: 418}}]", tcp="[{}]", tls=tls())
        + entry("b.com") + virtual_service("b.com", name="w", http="[]", tcp="[{}]")
    )  # fmt: skip
    assert loaded.snapshot is not None
    rules = loaded.snapshot.virtual_hosts
    assert (rules["a.com"].name, rules["b.com"].name) == ("VirtualService/vs", "default")


def test_files_of_rules_for_nobody_need_not_exist(load_yaml: Load) -> None:
    """Certificates are looked for where somebody connects by them."""
    tls_settings = (
        "{tls: {mode: MUTUAL, clientCertificate: /no/c, privateKey: /no/k, caCertificates: /no/ca}}"
    )
    found = load_yaml(A + rule("b.com", trafficPolicy=tls_settings)).findings
    assert [f.code for f in found] == ["unknown-host"]
