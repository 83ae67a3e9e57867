"""From files and an environment to a snapshot and findings."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from llm_fallback.config import Loaded, Severity, load
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, openai, provider, rule, to, virtual_service

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = {
    "dashscopeAPI_KEY": "s3cret-key",
    "DEMO_PRIMARY_PORT": "18080",
    "DEMO_DASHSCOPE_PORT": "18443",
}
HINT = " (name the files or folders with the mesh's YAML) [no-configuration]"


def lines(loaded: Loaded) -> list[str]:
    return [str(finding) for finding in loaded.findings]


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param(["config"], id="the-tutorial"),
        pytest.param(["config", "config/demo"], id="with-the-demo"),
        pytest.param(
            ["config/vs.yaml", "config/provider.yaml", "config/destinationrule.yaml"], id="file-by-file"
        ),
    ],
)
def test_what_we_publish_is_clean(paths: list[str]) -> None:
    """Neither errors nor warnings."""
    loaded = load([REPOSITORY / path for path in paths], ENVIRONMENT)

    assert [str(f) for f in loaded.findings if f.severity is not Severity.INFO] == []
    assert loaded.snapshot is not None
    assert set(loaded.snapshot.virtual_hosts) == {"asm-llm-provider-test.com", "dashscope.aliyuncs.com"}


def test_every_published_file_is_among_them() -> None:
    """A file that is added to config/ is loaded by the test above."""
    folders = {file.parent.relative_to(REPOSITORY) for file in (REPOSITORY / "config").rglob("*.yaml")}

    assert folders == {Path("config"), Path("config/demo")}


def test_the_tutorial_without_its_key() -> None:
    """The file, the line and the variable are named, and nothing else is wrong."""
    loaded = load([REPOSITORY / "config"], {})

    file = REPOSITORY / "config" / "provider.yaml"
    number = file.read_text().splitlines().index("        apiKey: ${dashscopeAPI_KEY}") + 1
    (line,) = [str(f) for f in loaded.findings if f.severity is not Severity.INFO]
    assert line == (
        f"{file}:{number}: LLMProvider/dashscope-qwen: spec.configs.defaultConfig.openAIConfig.apiKey:"
        " environment variable dashscopeAPI_KEY is not set"
        " (export dashscopeAPI_KEY=... before starting, or write the value here) [missing-variable]"
    )
    assert loaded.snapshot is None


def test_a_folder_is_read_without_its_subfolders(tmp_path: Path) -> None:
    """YAML and JSON, in the order of their names; other files are not for us."""
    (tmp_path / "b.yml").write_text(provider("b.com", name="b"))
    (tmp_path / "a.yaml").write_text(provider())
    (tmp_path / "c.json").write_text(json.dumps(yaml.safe_load(provider("c.com", name="c")), indent="\t"))
    (tmp_path / "README.md").write_text("a: [")
    (tmp_path / "more.yaml").mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "d.yaml").write_text("a: [")

    loaded = load([tmp_path], {})

    assert lines(loaded) == []
    assert loaded.snapshot is not None
    assert list(loaded.snapshot.virtual_hosts) == ["a.com", "b.com", "c.com"]


def test_several_files_and_documents_are_one_configuration(load_yaml: Load) -> None:
    """References go across them, in either direction."""
    loaded = load_yaml(virtual_service("a.com", http=to("b.com")), provider() + entry())

    assert lines(loaded) == []
    assert loaded.snapshot is not None
    assert loaded.snapshot.virtual_hosts["a.com"].source == "a.yaml:7 VirtualService/vs"


def test_places_that_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says so; none is taken for an empty configuration."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("only").mkdir()
    Path("only/README.md").write_text("")
    paths = [Path("empty"), Path("only"), Path("missing"), Path("missing.yaml")]

    loaded = load(paths, {})

    assert lines(loaded) == [
        "empty: holds no .yaml, .yml or .json file (sub-folders are not read) [no-configuration]",
        f"missing: does not exist (correct the path; it means {tmp_path / 'missing'}) [no-configuration]",
        f"missing.yaml: does not exist (correct the path; it means {tmp_path / 'missing.yaml'}) [no-configuration]",
        "only: holds no .yaml, .yml or .json file (sub-folders are not read) [no-configuration]",
    ]
    assert loaded.snapshot is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("# nothing\n", id="only-comments"),
        pytest.param("---\n---\n", id="only-separators"),
    ],
)
def test_files_that_hold_nothing(load_yaml: Load, text: str) -> None:
    """There would be nothing to do."""
    loaded = load_yaml(text)

    assert lines(loaded) == ["a.yaml: no LLMProvider or ServiceEntry: nothing to manage" + HINT]
    assert loaded.snapshot is None


def test_no_paths_at_all() -> None:
    """A finding, too."""
    assert load([], {}).snapshot is None
    assert len(load([], {}).findings) == 1


def test_everything_that_is_wrong_is_said_at_once(load_yaml: Load) -> None:
    """Over all files, documents and fields; the configuration is not half-loaded."""
    loaded = load_yaml(
        provider(path="chat", configs=openai(apiKey='"${KEY}"', stream="maybe"))
        + entry(resolution="STATIC")
        + "---\nkind: X\n",
        "apiVersion: v1\nkind: X\nkind: X\n",
        "a: b: c",
        rule(
            trafficPolicy="{outlierDetection: {interval: 10, consecutive5xxErrors: -1, mxEjectionPercent: 5}}"
        ),
    )

    assert [(f.file, f.line, f.field, f.code) for f in loaded.findings] == [
        ("a.yaml", 7, "spec.path", "invalid-value"),
        ("a.yaml", 8, "spec.configs.defaultConfig.openAIConfig.apiKey", "missing-variable"),
        ("a.yaml", 8, "spec.configs.defaultConfig.openAIConfig.stream", "wrong-type"),
        ("a.yaml", 13, "spec", "invalid-value"),
        ("a.yaml", 18, "apiVersion", "unknown-kind"),
        ("b.yaml", 3, "", "duplicate-key"),
        ("c.yaml", 1, "", "yaml-syntax"),
        (
            "d.yaml",
            7,
            "spec.trafficPolicy.outlierDetection.consecutive5xxErrors",
            "out-of-range",
        ),
        ("d.yaml", 7, "spec.trafficPolicy.outlierDetection.interval", "invalid-value"),
        ("d.yaml", 7, "spec.trafficPolicy.outlierDetection.mxEjectionPercent", "unknown-field"),
    ]
    assert loaded.snapshot is None


BROKEN_PROVIDERS = [
    pytest.param(provider().replace("v1beta1", "v1"), "unknown-version", id="unknown-version"),
    pytest.param(provider().replace("LLMProvider", "LLMProvidr"), "unknown-kind", id="unknown-kind"),
    pytest.param(provider(port="80"), "unknown-field", id="unknown-field"),
    pytest.param(provider(configs=openai(apiKey='"${KEY}"')), "missing-variable", id="missing-variable"),
    pytest.param(provider() + "  host: a.com\n", "duplicate-key", id="duplicate-key"),
]


@pytest.mark.parametrize(("broken", "code"), BROKEN_PROVIDERS)
def test_a_mistake_is_reported_once(load_yaml: Load, broken: str, code: str) -> None:
    """Routes to the host of a broken resource, and rules for it, are not to blame."""
    loaded = load_yaml(
        broken
        + entry()
        + virtual_service("a.com", http=to("a.com"))
        + rule("a.com", trafficPolicy="{tls: {mode: SIMPLE}}")
    )

    assert [finding.code for finding in loaded.findings] == [code]


def test_what_a_cluster_adds_is_of_no_interest(load_yaml: Load) -> None:
    """`kubectl get -o yaml` is accepted as it is."""
    metadata = (
        "uid: 1-2-3, resourceVersion: '1', generation: 3, creationTimestamp: 2026-01-01T00:00:00Z,"
        " labels: {a: b}, managedFields: [{manager: kubectl, fieldsV1: {}}], finalizers: [x]"
    )
    loaded = load_yaml(provider(metadata=metadata) + "status:\n  status: ok\n  anything: [1]\n")

    assert lines(loaded) == []
    assert loaded.snapshot is not None


FIELDS = [
    pytest.param(provider("s"), id="host-of-a-provider"),
    pytest.param(provider(name="s"), id="name"),
    pytest.param(provider(path="s"), id="path"),
    pytest.param(provider(configs=openai(model="s", stream="1")), id="model"),
    pytest.param(provider(configs=openai(stream="s")), id="stream"),
    pytest.param(provider(configs=openai(apiKey="s")), id="api-key"),
    pytest.param(entry("s"), id="host-of-an-entry"),
    pytest.param(entry(ports="[{number: s, name: http}]"), id="port"),
    pytest.param(entry(ports="[{number: 80, name: http, protocol: s}]"), id="protocol"),
    pytest.param(entry(resolution="s"), id="resolution"),
    pytest.param(entry(resolution="STATIC", endpoints="[{address: s}]"), id="address"),
    pytest.param(entry() + rule(trafficPolicy="{tls: {mode: s}}"), id="tls-mode"),
    pytest.param(entry() + rule(trafficPolicy="{tls: {mode: SIMPLE, caCertificates: s}}"), id="ca-file"),
    pytest.param(entry() + rule(trafficPolicy="{outlierDetection: {interval: s}}"), id="interval"),
    pytest.param(entry() + rule(trafficPolicy="{outlierDetection: {maxEjectionPercent: s}}"), id="percent"),
    pytest.param(entry() + rule(trafficPolicy="{outlierDetection: s}"), id="a-mapping"),
    pytest.param(entry() + rule("s", trafficPolicy="{tls: {mode: SIMPLE}}"), id="host-of-a-rule"),
    pytest.param(entry() + virtual_service("s", http=to("s")), id="host-of-a-route"),
    pytest.param(entry() + virtual_service("b.com", http=to("b.com"), gateways="[s]"), id="gateway"),
    pytest.param(
        entry()
        + virtual_service("b.com", http=to("b.com").replace("host: b.com", "host: b.com, port: {number: s}")),
        id="port-of-a-route",
    ),
]


@pytest.mark.parametrize("value", ["s3cret", "s3cret with\nnewline", "-4242424", "424242", "s3cret.net"])
@pytest.mark.parametrize("text", FIELDS)
def test_a_value_from_the_environment_is_never_shown(load_yaml: Load, text: str, value: str) -> None:
    """Whatever is wrong with it, and whatever else is wrong."""
    wrong = (
        text.replace(" s}", " '${SECRET}'}").replace("[s]", "['${SECRET}']").replace(" s\n", " '${SECRET}'\n")
    )
    wrong = wrong.replace(" s,", " '${SECRET}',")
    assert wrong != text

    loaded = load_yaml(
        wrong + provider("other.com", name="other", nonsense="1"), environment={"SECRET": value}
    )

    assert loaded.snapshot is None
    shown = " ".join(lines(loaded))
    assert "s3cret" not in shown
    assert "424242" not in shown


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param(
            '"s3cret\\nx"',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="newline",
        ),
        pytest.param(
            '" s3cret"',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="space",
        ),
        pytest.param(
            '"s3crét"',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="é",
        ),
        pytest.param(
            '""',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="empty",
        ),
        pytest.param(
            "3735928559", "must be a string, not a number (put it in quotes) [wrong-type]", id="number"
        ),
        pytest.param("[s3cret]", "must be a string, not a list [wrong-type]", id="list"),
        pytest.param("{s3cret: s3cret}", "must be a string, not a mapping [wrong-type]", id="mapping"),
    ],
)
def test_a_bad_key_is_never_shown(load_yaml: Load, key: str, problem: str) -> None:
    """Not even where it is written in the file."""
    loaded = load_yaml(provider(configs=openai(apiKey=key)))

    assert lines(loaded) == [
        f"a.yaml:7: LLMProvider/a: spec.configs.defaultConfig.openAIConfig.apiKey: {problem}"
    ]


def test_numbers_from_the_environment(load_yaml: Load) -> None:
    """A number where a number is wanted."""
    loaded = load_yaml(
        entry(ports="[{number: 80, name: http, targetPort: '${PORT}'}]")
        + rule(trafficPolicy="{outlierDetection: {consecutive5xxErrors: '${N}', interval: '${N}s'}}"),
        environment={"PORT": "8443", "N": "3"},
    )

    assert lines(loaded) == []
    assert loaded.snapshot is not None
    target = loaded.snapshot.services["b.com"].targets[80]
    assert target.endpoints[0].port == 8443
    assert target.outlier is not None
    assert (target.outlier.consecutive_5xx, target.outlier.interval_s) == (3, 3.0)


SPEC = "spec.trafficPolicy.outlierDetection"
DURATION = "(write a number with a unit of ms, s, m or h, such as 10s) [invalid-value]"
WHOLE = "a duration is a whole number of milliseconds, at least 1ms [invalid-value]"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        pytest.param("interval: 10", f"interval: 10: a duration needs a unit {DURATION}", id="no-unit"),
        pytest.param(
            "interval: '10'", f"interval: '10': not a duration; {DURATION[1:]}", id="no-unit-as-text"
        ),
        pytest.param("interval: 0.5ms", f"interval: '0.5ms': {WHOLE}", id="below-1ms"),
        pytest.param("interval: 1d", f"interval: '1d': not a duration {DURATION}", id="days"),
        pytest.param("baseEjectionTime: 0s", f"baseEjectionTime: '0s': {WHOLE}", id="zero"),
        pytest.param(
            "consecutive5xxErrors: -1",
            "consecutive5xxErrors: must be 0 or more, not -1 [out-of-range]",
            id="-1",
        ),
        pytest.param(
            "consecutive5xxErrors: 1.5",
            "consecutive5xxErrors: must be a whole number, not a fraction [wrong-type]",
            id="1.5",
        ),
        pytest.param(
            "consecutive5xxErrors: '1'",
            "consecutive5xxErrors: must be a whole number, not text [wrong-type]",
            id="text",
        ),
        pytest.param(
            "consecutive5xxErrors: true",
            "consecutive5xxErrors: must be a whole number, not a boolean [wrong-type]",
            id="true",
        ),
        pytest.param(
            "maxEjectionPercent: 101",
            "maxEjectionPercent: must be 100 or less, not 101 [out-of-range]",
            id="101-percent",
        ),
        pytest.param(
            "minHealthPercent: -1",
            "minHealthPercent: must be 0 or more, not -1 [out-of-range]",
            id="-1-percent",
        ),
        pytest.param(
            "outlierDetectionHttpErrorCodes: [429]",
            "outlierDetectionHttpErrorCodes: this field of the mesh's is not supported (remove it)"
            " [unsupported-field]",
            id="new-field",
        ),
        pytest.param(
            "consecutive5xxErors: 1",
            "consecutive5xxErors: unknown field (did you mean consecutive5xxErrors?) [unknown-field]",
            id="slip",
        ),
        pytest.param("zzz: 1", "zzz: unknown field [unknown-field]", id="nothing-like-it"),
    ],
)
def test_bad_outlier_detection(load_yaml: Load, setting: str, problem: str) -> None:
    """One line that says what to write."""
    loaded = load_yaml(entry() + rule(trafficPolicy=f"\n    outlierDetection:\n      {setting}"))

    expected = f"a.yaml:16: DestinationRule/b: {SPEC}.{problem}".replace("duration; write", "duration (write")
    assert lines(loaded) == [expected]


def test_local_origin_failures_need_their_switch(load_yaml: Load) -> None:
    """Istio refuses the one without the other."""
    loaded = load_yaml(
        entry() + rule(trafficPolicy="{outlierDetection: {consecutiveLocalOriginFailures: 1}}")
    )

    (line,) = lines(loaded)
    assert line == (
        f"a.yaml:14: DestinationRule/b: {SPEC}: consecutiveLocalOriginFailures needs"
        " splitExternalLocalOriginErrors: true beside it [invalid-value]"
    )


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        pytest.param("0", "must be 1 or more, not 0 [out-of-range]", id="0"),
        pytest.param("65536", "must be 65535 or less, not 65536 [out-of-range]", id="65536"),
        pytest.param("0x" + "f" * 5000, "must be 65535 or less, not a huge number [out-of-range]", id="huge"),
        pytest.param("'80'", "must be a whole number, not text [wrong-type]", id="text"),
        pytest.param("", "must be a whole number, not nothing [wrong-type]", id="nothing"),
    ],
)
def test_bad_ports(load_yaml: Load, number: str, problem: str) -> None:
    """From 1 to 65535."""
    loaded = load_yaml(entry(ports=f"\n  - name: http\n    number: {number}"))

    assert lines(loaded) == [f"a.yaml:9: ServiceEntry/b: spec.ports[0].number: {problem}"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {"resolution": "STATIC"}, "spec: resolution STATIC needs endpoints", id="static-without"
        ),
        pytest.param(
            {"resolution": "STATIC", "endpoints": "[{address: c.com}]"},
            "spec: resolution STATIC needs IP addresses; write DNS for host names",
            id="static-with-a-name",
        ),
        pytest.param(
            {"endpoints": "[{address: 10.0.0.1}]"},
            "spec: resolution NONE has no endpoints; write STATIC or DNS",
            id="none-with-endpoints",
        ),
        pytest.param(
            {"resolution": "DNS_ROUND_ROBIN", "endpoints": "[{address: c.com}, {address: d.com}]"},
            "spec: resolution DNS_ROUND_ROBIN has at most one endpoint",
            id="round-robin-of-two",
        ),
        pytest.param(
            {"ports": "[{number: 80, name: a}, {number: 80, name: b}]"},
            "spec: two ports have the same number",
            id="port-number-twice",
        ),
        pytest.param(
            {"ports": "[{number: 80, name: a}, {number: 81, name: a}]"},
            "spec: two ports have the same name",
            id="port-name-twice",
        ),
        pytest.param(
            {"resolution": "STATIC", "endpoints": "[{address: 10.0.0.1, ports: {htpp: 81}}]"},
            "spec: an endpoint has a port 'htpp' that ports does not name",
            id="port-name-that-is-none",
        ),
        pytest.param({"ports": "[]"}, "spec.ports: must not be empty", id="no-ports"),
    ],
)
def test_bad_service_entries(load_yaml: Load, spec: Mapping[str, str], problem: str) -> None:
    """What does not fit together."""
    (line,) = lines(load_yaml(entry(**spec)))

    text, semicolon, hint = problem.partition("; ")
    shown = f"{text} ({hint})" if semicolon else text
    assert line.partition(": ServiceEntry/b: ")[2] == f"{shown} [invalid-value]"


def test_the_custom_rule_annotation_has_one_value(load_yaml: Load) -> None:
    """`true` as a boolean is no annotation; Kubernetes refuses it, too."""
    loaded = load_yaml(provider(metadata=CUSTOM.replace('"', "")))

    (line,) = lines(loaded)
    assert line == (
        "a.yaml:4: LLMProvider/a: metadata.annotations.asm.alibabacloud.com/custom-destinationrule:"
        " must be a string, not a boolean (put it in quotes) [wrong-type]"
    )
