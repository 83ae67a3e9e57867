"""What tools make of YAML: lists, templates, and the extras of kubectl and Helm."""

import json

import pytest
import yaml

from llm_fallback.config import Loaded
from tests.config.conftest import Load
from tests.config.written import entry, provider, rule

type Shown = list[str]


def lines(loaded: Loaded) -> Shown:
    return [str(finding) for finding in loaded.findings]


LIST = """\
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata: {name: b}
  spec:
    hosts: [b.com]
    ports: [{number: 80, name: http}]
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: b}
  spec:
    host: b.com
    trafficPolicy:
      outlierDetection: {interval: 10, maxEjectionPercent: 100}
"""
BAD_INTERVAL = (
    "DestinationRule/b: spec.trafficPolicy.outlierDetection.interval: 10: a duration needs a unit"
    " (write a number with a unit of ms, s, m or h, such as 10s) [invalid-value]"
)


def test_items_of_a_list(load_yaml: Load) -> None:
    """Each is a resource of its own, at its place in the file."""
    good = load_yaml(LIST.replace("interval: 10,", "interval: 10s,"))

    assert (lines(good), good.resources) == ([], 2)
    assert lines(load_yaml(LIST)) == [f"a.yaml:17: {BAD_INTERVAL}"]


def test_a_json_list(load_yaml: Load) -> None:
    """`kubectl get -o json`."""
    loaded = load_yaml(json.dumps(yaml.safe_load(LIST), indent=2))

    (line,) = lines(loaded)
    assert line.partition(": ")[2] == BAD_INTERVAL


def test_items_of_a_list_of_one_kind(load_yaml: Load) -> None:
    """The items may leave out what the list says; lists may be in lists."""
    items = "items:\n- metadata: {name: b}\n  spec: {}\n"
    typed = f"apiVersion: networking.istio.io/v1\nkind: ServiceEntryList\n{items}"
    nested = "apiVersion: v1\nkind: List\nitems:\n- " + typed.replace("\n", "\n  ")

    for text, first in ((typed, 5), (nested, 8)):
        assert {line.partition(" spec")[0] for line in lines(load_yaml(text))} == {
            f"a.yaml:{first}: ServiceEntry/b:"
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "kind: List\nitems: 1\n", ["a.yaml:2: List/?: items: must be a list [wrong-type]"], id="number"
        ),
        pytest.param(
            "kind: List\nitems:\n- 1\n- []\n",
            [
                "a.yaml:3: List/?: items[0]: a document is a mapping with apiVersion and kind [wrong-type]",
                "a.yaml:4: List/?: items[1]: a document is a mapping with apiVersion and kind [wrong-type]",
            ],
            id="items-that-are-no-resources",
        ),
        pytest.param(
            "kind: List\nitems:\n- {a: 1, a: 2}\n- {apiVersion: v1}\n",
            [
                "a.yaml:3: duplicate key 'a' (keep one of them) [duplicate-key]",
                "a.yaml:4: ?/?: kind: is missing (every resource has apiVersion and kind) [unknown-kind]",
            ],
            id="only-the-broken-item-is-broken",
        ),
        pytest.param(
            "kind: List\nitems:\n- {kind: Pod, metadata: {name: b, name: c}}\n",
            ["a.yaml:3: Pod/b: metadata.name: duplicate key 'name' (keep one of them) [duplicate-key]"],
            id="a-broken-item-is-named",
        ),
        pytest.param(
            "kind: List\nkind: List\nitems: []\n",
            [
                "a.yaml:2: List/?: kind: duplicate key 'kind' (keep one of them) [duplicate-key]",
            ],
            id="a-broken-list-is-named",
        ),
        pytest.param("apiVersion: v1\nkind: List\nitems: []\n", [], id="empty"),
        pytest.param("apiVersion: v1\nkind: PodList\nitems: null\n", [], id="nothing"),
        pytest.param("apiVersion: v1\nkind: List\n", [], id="no-items"),
    ],
)
def test_odd_lists(load_yaml: Load, text: str, expected: Shown) -> None:
    """A finding where the list is, and none about an empty one."""
    assert lines(load_yaml(text, entry())) == expected


def test_what_kubectl_and_helm_add(load_yaml: Load) -> None:
    """Read without complaint."""
    applied = json.dumps(yaml.safe_load(entry()))
    metadata = (
        f"annotations: {{kubectl.kubernetes.io/last-applied-configuration: {json.dumps(applied)}}},"
        " managedFields: [{fieldsV1: {'f:spec': {'.': {}}}}], uid: x, labels: {helm.sh/chart: a-1}"
    )
    text = (
        "---\n# Source: mesh/templates/entry.yaml\n---\n# Source: mesh/templates/none.yaml\n"
        + entry(metadata=metadata)
        + "status: {conditions: []}\n---\n\n---\n"
    )

    assert lines(load_yaml("\ufeff" + text.replace("\n", "\r\n"))) == []


TEMPLATE = (
    "a template that has not been rendered"
    " (render the chart first: helm template ... | llm-fallback check -f -)"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "# {{ .Values }} is a comment\n{{- if .Values.mesh }}\na: 1\n{{- end }}\n",
            "a.yaml:2: ",
            id="action",
        ),
        pytest.param(entry("{{ .Values.host }}"), "a.yaml:6: ", id="value"),
        pytest.param(entry() + '  a: {{ include "x" . }}\n', "a.yaml:8: ", id="include"),
        pytest.param(
            entry("'{{ .Values.host }}'"), "a.yaml:6: ServiceEntry/b: spec.hosts[0]: ", id="value-in-quotes"
        ),
    ],
)
def test_templates(load_yaml: Load, text: str, expected: str) -> None:
    """A chart that has not been rendered is called that, once, and nothing else is made of it."""
    loaded = load_yaml(text)

    assert lines(loaded) == [f"{expected}{TEMPLATE} [unrendered-template]"]
    assert loaded.snapshot is None


def test_braces_that_are_no_template(load_yaml: Load) -> None:
    """Annotations, and kinds that are not for us, hold what they like."""
    metadata = "annotations: {a: '{{ .Values.x }}'}"
    other = "---\napiVersion: v1\nkind: ConfigMap\ndata: {rule: '{{ $labels.x }}'}\n"

    assert [finding.code for finding in load_yaml(entry(metadata=metadata) + other).findings] == ["skipped"]


def test_a_file_that_could_not_be_read_to_its_end(load_yaml: Load) -> None:
    """What seems to be missing may be in it: no more is said than what is sure."""
    loaded = load_yaml(rule("b.con", trafficPolicy="{tls: {mode: SIMPLE}}"), entry() + "---\na: b: c\n")

    assert [finding.code for finding in loaded.findings] == ["yaml-syntax"]


def test_a_resource_that_is_too_large(load_yaml: Load) -> None:
    """Aliases included."""
    ports = "&p [" + ", ".join(["{number: 80, name: http}"] * 9_000) + "]"
    loaded = load_yaml(entry(ports=ports, endpoints="[{ports: *p}, {ports: *p}, {ports: *p}]"), provider())

    assert lines(loaded) == [
        (
            "a.yaml:2: ServiceEntry/b: has more than 100000 values, aliases counted each time"
            " (split it) [too-large]"
        )
    ]
