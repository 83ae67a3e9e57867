"""What was compiled, as `/config_dump` shows it: all of it but the secrets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_fallback.config import Snapshot, load
from llm_fallback.config.in_force import Configuration
from tests.admin.serving import ask, example
from tests.support.secret import Secret, leaks

WRITTEN = Secret("a key that is written down", "sk-written-5b1e")
GIVEN = Secret("a key of the environment", "sk-given-77c0")
HEADER = Secret("a header of a rule", "hdr-9c4f")
NAMED = Secret("a header that says so", "hdr-named-01aa")
BODY = Secret("the body of a direct response", "body-3d2e")
QUERY = Secret("a key in a path", "query-8a8a")
ADMITTED = Secret("a header that a rule asks for", "match-4e4e")
PATH = Secret("a provider's path of the environment", "path-6b1d")
SECRETS = (WRITTEN, GIVEN, HEADER, NAMED, BODY, QUERY, ADMITTED, PATH)

MESH = f"""
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {{name: a, annotations: {{asm.alibabacloud.com/custom-destinationrule: "true"}}}}
spec:
  host: a.com
  path: /v1/chat/completions
  configs: {{defaultConfig: {{openAIConfig: {{model: qwen, apiKey: "${{KEY}}"}}}}}}
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {{name: b}}
spec:
  host: b.com
  path: "/${{TENANT}}/chat/completions"
  configs: {{defaultConfig: {{openAIConfig: {{model: gpt, apiKey: {WRITTEN.value}}}}}}}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {{name: a}}
spec:
  host: a.com
  trafficPolicy:
    tls: {{mode: SIMPLE, sni: sni.a.com}}
    outlierDetection: {{consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 10s}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a}}
spec:
  hosts: [a.com]
  http:
  - name: closed
    match:
    - uri: {{prefix: /closed}}
      headers: {{x-api-key: {{exact: {ADMITTED.value}}}, x-team: {{regex: "red|blue"}}}}
    directResponse: {{status: 403, body: {{string: "${{BODY}}"}}}}
  - name: open
    match: [{{uri: {{prefix: /open}}}}]
    rewrite: {{uri: "/v2?api_key={QUERY.value}"}}
    route:
    - destination: {{host: a.com, port: {{number: 80}}}}
      fallback: {{target: {{host: b.com}}}}
      headers: {{request: {{set: {{x-plain: "${{HEADER}}", x-secret: {NAMED.value}, x-shown: shown-value}}}}}}
    retries: {{attempts: 2, retryOn: "5xx,429", perTryTimeout: 2s}}
"""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Rules and providers with a secret wherever there can be one."""
    file: Path = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    file.write_text(MESH, encoding="utf-8")
    environment = {"KEY": GIVEN.value, "HEADER": HEADER.value, "BODY": BODY.value, "TENANT": PATH.value}
    loaded = load([file], environment, None)
    assert loaded.snapshot, [str(finding) for finding in loaded.findings]
    return loaded.snapshot


def dumped(snapshot: Snapshot) -> Mapping[str, Any]:
    """The two parts of the dump, by the last word of their types."""
    got = ask("/config_dump", shown=example(snapshot=lambda: snapshot))
    assert (got.status, got.media_type) == (200, "application/json")
    return {config["@type"].rpartition("/")[2]: config for config in got.json["configs"]}


def test_no_secret_is_shown(snapshot: Snapshot) -> None:
    """Neither there nor anywhere else; all of them are in what was read, and in the snapshot."""
    shown = example(snapshot=lambda: snapshot)
    paths = ("/config_dump", "/api/state", "/configuration", "/clusters?format=json", "/stats")
    places = {path: ask(path, shown=shown).text.encode() for path in paths}

    assert leaks(places, SECRETS) == []
    assert places["/config_dump"].count(b"[redacted]") == len(SECRETS)
    rules = [route for host in snapshot.virtual_hosts.values() for route in host.routes]
    [destination] = rules[1].action  # type: ignore[misc]
    assert HEADER.value in dict(destination.headers.request.set).values()


def test_rules(snapshot: Snapshot) -> None:
    """Conditions, what is done, and where it was written; what nobody has set is left out."""
    routes = dumped(snapshot)["RoutesConfigDump"]
    [host] = [host for host in routes["virtual_hosts"] if host["domains"] == ["a.com"]]
    closed, opened = host["routes"][:2]

    assert routes["last_updated"] == "1970-01-01T00:00:12.500Z"
    [match] = closed["matches"]
    assert match["uri"] == {"prefix": "/closed"}
    assert match["headers"] == {"x-api-key": "[redacted]", "x-team": {"regex": "red|blue"}}
    assert closed["action"] == {"status": 403, "body": "[redacted]"}
    [destination] = opened["action"]
    assert destination["destination"] == {"host": "a.com", "port": 80}
    assert destination["fallback"] == {"host": "b.com"}
    assert destination["headers"]["request"]["set"] == [
        ["x-plain", "[redacted]"],
        ["x-secret", "[redacted]"],
        ["x-shown", "shown-value"],
    ]
    assert opened["rewrite"] == {"uri": "/v2?api_key=[redacted]"}
    assert opened["retries"]["per_try_timeout_s"] == 2.0
    assert ":" in opened["source"]
    assert "fault" not in opened


def test_targets(snapshot: Snapshot) -> None:
    """By the names of Envoy's clusters."""
    clusters = {each["name"]: each for each in dumped(snapshot)["ClustersConfigDump"]["clusters"]}
    first = clusters["outbound|80||a.com"]

    assert first["tls"]["sni"] == "sni.a.com"
    assert first["outlier"]["consecutive_5xx"] == 3
    assert first["provider"]["default"] == {"model": "qwen", "api_key": "[redacted]"}
    assert first["provider"]["path"] == "/v1/chat/completions"
    assert all(isinstance(endpoint, str) for endpoint in first["endpoints"])


def test_nothing_yet() -> None:
    """Before the first configuration there is none, and no time of one."""
    got = ask("/config_dump", shown=example(configuration=Configuration))
    assert got.json == {
        "configs": [
            {"@type": "type.llmfallback.io/RoutesConfigDump", "virtual_hosts": []},
            {"@type": "type.llmfallback.io/ClustersConfigDump", "clusters": []},
        ]
    }
