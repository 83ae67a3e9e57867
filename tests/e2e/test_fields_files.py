"""The shapes in which mesh YAML comes: lists, JSON, many documents, mounts; and where a rule was."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.background import Background
from tests.support.clients import http_client
from tests.support.proxy import Proxy, Setting
from tests.support.saved import read_flows
from tests.support.yaml_mesh import Mesh, fill, named

LIST = """\
apiVersion: v1
kind: List
metadata:
  resourceVersion: ""
items:
- apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata:
    name: from-list
    namespace: default
    uid: 0c5a2a3e-6a43-4a8e-9d5b-1f7b2b7b0001
    generation: 2
    resourceVersion: "4711"
    creationTimestamp: "2026-01-01T00:00:00Z"
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"networking.istio.io/v1","kind":"ServiceEntry"}
    managedFields:
    - manager: kubectl
      operation: Update
      fieldsType: FieldsV1
      fieldsV1: {"f:spec": {}}
  spec:
    hosts: [from-list.test]
    resolution: STATIC
    ports: [{number: 80, name: http, protocol: HTTP, targetPort: <red>}]
    endpoints: [{address: 127.0.0.1}]
  status:
    conditions: []
- apiVersion: v1
  kind: Service
  metadata: {name: something-else}
  spec: {ports: [{port: 80}]}
"""
JSON_ENTRY = """\
{
  "apiVersion": "networking.istio.io/v1",
  "kind": "ServiceEntry",
  "metadata": {"name": "from-json"},
  "spec": {
    "hosts": ["from-json.test"],
    "resolution": "STATIC",
    "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": <green>}],
    "endpoints": [{"address": "127.0.0.1"}]
  }
}
"""
MANY = """\
# Several documents, an empty one and a comment.
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: backend
spec:
  hosts: [backend.test]
  resolution: STATIC
  ports:
  - number: 80
    name: http
    protocol: HTTP
    targetPort: <blue>
  endpoints:
  - address: 127.0.0.1
---
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: from-many
spec:
  hosts: [from-many.test]
  http:
  - match:
    - uri:
        prefix: /other
    directResponse: {status: 204}
  - name: the-rest
    route:
    - destination: {host: backend.test}
...
"""
MOUNTED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mounted}
spec:
  hosts: [mounted.test]
  http:
  - route:
    - destination: {host: backend.test}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """The bodies by host, what was logged, and the rules by host, as the saved flows name them."""

    bodies: dict[str, bytes]
    log: str
    sources: dict[str, str]
    folder: Path


@pytest.fixture(scope="module", name="seen")
def play(
    background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    """One proxy with all of it, and a request to each host."""
    folder: Path = tmp_path_factory.mktemp("files")
    hosts = [f"{name}.test" for name in ("from-list", "from-json", "from-many", "mounted")]
    with ExitStack() as stack:
        providers = named("red", "green", "blue")
        for provider in providers.values():
            stack.enter_context(background.serving(provider))
        places = write(folder, {name: provider.port for name, provider in providers.items()})
        saved = folder / "flows.mitm"
        with Proxy(setting, places, "-w", str(saved)) as proxy, http_client(proxy) as client:
            proxy.wait_for_line("managing ")
            mesh = Mesh(proxy, providers, client)
            bodies = {host: mesh.ask(host).body for host in hosts}
        told = [flow.metadata["llm_fallback"] for flow in read_flows(saved)]
        yield Seen(bodies, proxy.log, {one["host"]: one["source"] for one in told}, folder)


def write(folder: Path, ports: dict[str, int]) -> str:
    """The files; what `llm_config` is to name."""
    config, version = folder / "config", folder / "mount" / "..2026_11_22"
    config.mkdir()
    version.mkdir(parents=True)
    (folder / "list.yaml").write_text(fill(LIST, ports))
    (config / "entry.json").write_text(fill(JSON_ENTRY, ports))
    (config / "many.yml").write_text(fill(MANY, ports))
    (config / "README.md").write_text("no YAML: {")
    (version / "mesh.yaml").write_text(MOUNTED)
    (folder / "mount" / "..data").symlink_to(version.name)
    (folder / "mount" / "mesh.yaml").symlink_to("..data/mesh.yaml")
    return f"{folder / 'list.yaml'}, {config},{folder / 'mount'}"


@pytest.mark.parametrize(
    ("host", "body"),
    [
        pytest.param("from-list.test", b"red", id="a-List-as-kubectl-prints-it"),
        pytest.param("from-json.test", b"green", id="a-JSON-file"),
        pytest.param("from-many.test", b"blue", id="many-documents-in-a-folder"),
        pytest.param("mounted.test", b"blue", id="a-mounted-ConfigMap"),
    ],
)
def test_what_is_read(seen: Seen, host: str, body: bytes) -> None:
    """Its rules are in force."""
    assert seen.bodies[host] == body


def test_nothing_to_complain_about(seen: Seen) -> None:
    """What kubectl adds is no finding, nor is another kind."""
    assert not re.search(r"\[[a-z]+(-[a-z]+)+\]$", seen.log, re.MULTILINE)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("from-many.test", "config/many.yml:30 VirtualService/from-many"),
        ("mounted.test", "mount/mesh.yaml:7 VirtualService/mounted"),
        ("from-list.test", "generated"),
    ],
)
def test_a_saved_flow_says_which_rule_it_was(seen: Seen, host: str, source: str) -> None:
    """File, line and resource, as findings do."""
    assert seen.sources[host] == (source if source == "generated" else f"{seen.folder}/{source}")
