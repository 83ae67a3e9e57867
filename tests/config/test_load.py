"""From files and an environment to a snapshot and findings."""

import json
from pathlib import Path

import pytest
import yaml

from llm_fallback.config import Loaded, Severity, load
from tests.config.conftest import Load
from tests.config.written import entry, openai, provider, rule, to, virtual_service

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
        pytest.param(["config", "config/rescue"], id="with-a-policy"),
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

    assert folders == {Path("config"), Path("config/demo"), Path("config/rescue")}


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
    (rule,) = loaded.snapshot.virtual_hosts["a.com"].routes
    assert rule.source.startswith("a.yaml:7 VirtualService/vs")


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
        *(
            f"{name}: does not exist (correct the path; it means {tmp_path / name}) [no-configuration]"
            for name in ("missing", "missing.yaml")
        ),
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
        + entry(resolution="STATIC", endpoints="[{address: c.com}]")
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
        ("a.yaml", 17, "spec.endpoints[0].address", "invalid-value"),
        ("a.yaml", 19, "apiVersion", "unknown-kind"),
        ("b.yaml", 3, "kind", "duplicate-key"),
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
    pytest.param(provider(path='"${PATH}"'), "missing-variable", id="missing-variable"),
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


@pytest.mark.parametrize("key", ["${KEY}", "${key of the provider}"])
def test_a_missing_key_hides_nothing(load_yaml: Load, key: str) -> None:
    """What else is wrong, with the resource and with what refers to it, is said in the same run."""
    text = (
        provider(configs=openai(apiKey=f'"{key}"'), path="chat")
        + provider("b.com", name="b", configs=openai(apiKey=f'"{key}"'))
        + rule("b.com", trafficPolicy="{tls: {mode: SIMPLE}}")
        + virtual_service("b.com", http=to("b.con"))
    )
    loaded = load_yaml(text)

    assert loaded.snapshot is None
    reference = "missing-variable" if key == "${KEY}" else "invalid-variable"
    assert [(finding.line, finding.code.value) for finding in loaded.findings] == [
        (7, reference),
        (8, "invalid-value"),
        (15, reference),
        (21, "generated-rule"),
        (29, "unknown-host"),
    ]


def test_what_a_cluster_adds_is_of_no_interest(load_yaml: Load) -> None:
    """`kubectl get -o yaml` is accepted as it is."""
    metadata = (
        "uid: 1-2-3, resourceVersion: '1', generation: 3, creationTimestamp: 2026-01-01T00:00:00Z,"
        " labels: {a: b}, managedFields: [{manager: kubectl, fieldsV1: {}}], finalizers: [x]"
    )
    loaded = load_yaml(provider(metadata=metadata) + "status:\n  status: ok\n  anything: [1]\n")

    assert lines(loaded) == []
    assert loaded.snapshot is not None
