"""What a rule takes from the environment goes to the provider or client, and is nowhere to be read."""

from dataclasses import replace
from pathlib import Path

from tests.support.background import Background
from tests.support.proxy import Setting
from tests.support.saved import read_flows
from tests.support.secret import Secret, leaks
from tests.support.yaml_mesh import named, running, service_entry, virtual_service

TENANT = Secret("what is in the environment", "tenant-4711-acme")
YAML = service_entry("a") + virtual_service(
    "a",
    """
    - match: [{uri: {exact: /told}}]
      headers: {response: {set: {x-told: "${TENANT}"}}}
      directResponse: {status: 200, body: {string: "hello ${TENANT}"}}
    - headers: {request: {set: {x-rule: "${TENANT}"}}}
      rewrite: {uri: "/${TENANT}/"}
      route:
      - destination: {host: a.test}
        headers: {request: {add: {x-destination: "of ${TENANT}"}}}
    """,
)


def test_a_request(background: Background, setting: Setting, tmp_path: Path) -> None:
    """The provider gets the values; flow file, HAR and log say that there is one."""
    setting = replace(setting, environment={"TENANT": TENANT.value})
    saved, har = tmp_path / "flows.mitm", tmp_path / "out.har"
    options = ("-w", str(saved), "--set", f"hardump={har}", "--set", "flow_detail=4", "-v")
    providers = named("a")
    with running(background, setting, tmp_path, YAML, providers, *options) as mesh:
        assert mesh.ask("a.test/x?page=1").status == 200
    (sent,) = providers["a"].requests
    assert (sent.header("x-rule"), sent.header("x-destination")) == (TENANT.value, f"of {TENANT.value}")
    assert sent.path == f"/{TENANT.value}/x?page=1"
    (flow,) = read_flows(saved)
    assert flow.request.path == "/[redacted]?page=1"
    assert (flow.request.headers["x-rule"], flow.request.headers["x-destination"]) == ("[redacted]",) * 2
    places = {"flows.mitm": saved.read_bytes(), "out.har": har.read_bytes(), "log": mesh.proxy.log.encode()}
    assert all(b"[redacted]" in content for content in places.values())
    assert leaks(places, [TENANT]) == []


def test_an_answer(background: Background, setting: Setting, tmp_path: Path) -> None:
    """The client gets it as the rule has it."""
    setting = replace(setting, environment={"TENANT": TENANT.value})
    with running(background, setting, tmp_path, YAML, named("a")) as mesh:
        answer = mesh.ask("a.test/told")
    assert answer.body.decode() == f"hello {TENANT.value}"
    assert answer.headers["x-told"] == TENANT.value
