"""Folders such as guides and samples of meshes have them load; what does not act here is named."""

from pathlib import Path

import pytest

from llm_fallback.config import load
from llm_fallback.config.findings import Code, Severity
from tests.config.conftest import Load
from tests.config.written import entry, rule, to, virtual_service

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
    """A folder of them loads; of a name that several of them have, the last counts."""
    loaded = load([SAMPLES], {})
    assert loaded.snapshot is not None
    doubled = [f for f in loaded.findings if f.code is Code.DUPLICATE_RESOURCE]
    assert [(Path(f.file).name, f.resource, f.severity.value) for f in doubled] == [
        ("egress.yaml", "ServiceEntry/echo", "info")
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
            "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\n"
            "spec: {workloadSelector: {labels: {app: api-gateway}}, configPatches: [{applyTo: CLUSTER}]}\n",
            "EnvoyFilter/e: kind unsupported-kind",
            id="filter-of-an-app-that-is-called-a-gateway",
        ),
        pytest.param(
            "---\napiVersion: istio.alibabacloud.com/v1\nkind: ASMCircuitBreaker\nmetadata: {name: b}\n"
            "spec: {workloadSelector: {labels: {app: sleep}}, applyToTraffic: sidecar_outbound}\n",
            "ASMCircuitBreaker/b: kind unsupported-kind",
            id="breaker-for-calls",
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


@pytest.mark.parametrize(
    ("workload", "is_for_us"), [(None, True), ({"app": "page"}, True), ({"app": "sleep"}, False)]
)
def test_what_selects_other_workloads(
    load_yaml: Load,
    workload: dict[str, str] | None,
    is_for_us: bool,  # noqa: FBT001
) -> None:
    """Is no matter of ours, once it is said for whom the proxy stands."""
    text = (
        "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\n"
        "spec: {workloadSelector: {labels: {app: page}}, configPatches: [{applyTo: CLUSTER}]}\n"
    )
    loaded = load_yaml(A + text, workload=workload)
    assert [f.code for f in loaded.findings] == ["unsupported-kind" if is_for_us else "skipped"]
    assert (loaded.snapshot is None) is is_for_us


def test_alternatives_in_one_folder(tmp_path: Path) -> None:
    """Samples are often a folder of files of which one is to be applied: the last stands for all."""
    (tmp_path / "all-v1.yaml").write_text(A + virtual_service("a.com", http=to("a.com")))
    for percent in (10, 50):
        split = (
            f"[{{route: [{{destination: {{host: a.com}}, weight: {100 - percent}}},"
            f" {{destination: {{host: b.com}}, weight: {percent}}}]}}]"
        )
        (tmp_path / f"split-{percent}.yaml").write_text(virtual_service("a.com", http=split))
    (tmp_path / "z-hosts.yaml").write_text(entry("b.com"))
    loaded = load([tmp_path], {})
    assert loaded.snapshot is not None
    action = loaded.snapshot.virtual_hosts["a.com"].routes[0].action
    assert isinstance(action, tuple)
    assert [entry.weight for entry in action] == [50, 50]
    assert [(Path(f.file).name, f.code) for f in loaded.findings] == [
        ("all-v1.yaml", "duplicate-resource"),
        ("split-10.yaml", "duplicate-resource"),
    ]


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
