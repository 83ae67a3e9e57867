"""The commands, as a person or a pipeline calls them."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_fallback.cli import main
from tests.config.written import entry, provider, rule

ADDON = Path(__file__).parents[1] / "addon"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, output, and what was said beside it."""
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = int(str(exit_.code))
    output = capsys.readouterr()
    return status, output.out, output.err


def test_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the folder `config`, where nothing else is named."""
    Path("config").mkdir()
    Path("config/a.yaml").write_text(provider() + entry())

    assert run(capsys, "check") == (0, "", "2 resources in 1 file: nothing to report\n")


def test_infos_do_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    """They are printed."""
    Path("a.yaml").write_text(entry() + "---\napiVersion: v1\nkind: Service\n")

    assert run(capsys, "check", "-f", "a.yaml") == (
        0,
        "a.yaml: info: 1 resource of another kind was skipped (Service) [skipped]\n",
        "1 resource in 1 file: 1 info\n",
    )


def test_errors_and_warnings_fail(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are printed, by file and line, the worst first at one line."""
    Path("b.yaml").write_text(entry(x="1") + entry("c.com", name="c", y="1"))
    Path("a.yaml").write_text(provider() + rule("a.com", trafficPolicy="{tls: {mode: SIMPLE}}"))

    status, out, err = run(capsys, "check", "-f", "b.yaml", "a.yaml", "-f", "nowhere.yaml")

    assert status == 1
    assert [line.split(": ")[0] for line in out.splitlines()] == [
        "b.yaml:8",
        "b.yaml:16",
        "nowhere.yaml",
    ]
    assert err == "2 resources in 2 files: 3 errors\n"


def test_a_warning_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline that wants no warnings need not read them."""
    Path("a.yaml").write_text(provider() + rule("a.com", trafficPolicy="{tls: {mode: SIMPLE}}"))

    status, out, err = run(capsys, "check", "-f", "a.yaml")

    assert (status, out.split(": ")[:3], out.rpartition(" ")[2], err) == (
        1,
        ["a.yaml:12", "warning", "DestinationRule/b"],
        "[generated-rule]\n",
        "2 resources in 1 file: 1 warning\n",
    )


SHADOWED = provider() + rule("a.com", trafficPolicy="{tls: {mode: SIMPLE}}")
IS_NOTHING = entry(addresses="[10.0.0.1]")


@pytest.mark.parametrize(
    ("text", "accepted", "expected"),
    [
        pytest.param(SHADOWED, ["generated-rule"], (0, 0, "1 accepted"), id="a-warning"),
        pytest.param(
            SHADOWED + IS_NOTHING, ["generated-rule", "not-managed"], (0, 0, "2 accepted"), id="an-info-too"
        ),
        pytest.param(SHADOWED, ["no-effect"], (1, 1, "1 warning"), id="another-code"),
        pytest.param(entry(x="1"), ["unknown-field"], (1, 1, "1 error"), id="not-an-error"),
        pytest.param(SHADOWED + entry(x="1"), ["generated-rule"], (1, 1, "1 error, 1 accepted"), id="both"),
    ],
)
def test_accepted_codes(
    capsys: pytest.CaptureFixture[str], text: str, accepted: list[str], expected: tuple[int, int, str]
) -> None:
    """What is known and meant is counted, and neither printed nor judged; an error stays one."""
    Path("a.yaml").write_text(text)
    options = [word for code in accepted for word in ("--accept", code)]

    status, out, err = run(capsys, "check", "-f", "a.yaml", *options)

    assert (status, out.count("\n"), err.strip().partition(": ")[2]) == expected
    as_json = run(capsys, "check", "-f", "a.yaml", "-o", "json", *options)[1]
    assert len(json.loads(as_json)) == expected[1]


@pytest.mark.parametrize(
    ("code", "hint"),
    [("generated-rules", "did you mean generated-rule?"), ("W123", "docs/findings.md has all of them")],
)
def test_codes_that_do_not_exist(capsys: pytest.CaptureFixture[str], code: str, hint: str) -> None:
    """A slip must not make everything pass, nor nothing."""
    status, _, err = run(capsys, "check", "--accept", code)

    assert status == 2
    assert err.endswith(f"error: argument --accept: no code is called {code!r}; {hint}\n")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Objects with the same keys always, whatever is known."""
    Path("a.yaml").write_text(entry("é.com"))

    status, out, _ = run(capsys, "check", "-o", "json", "-f", "a.yaml", "gone")

    found = json.loads(out)
    assert status == 1
    assert [list(finding) for finding in found] == [
        ["file", "line", "resource", "field", "problem", "hint", "code", "severity"]
    ] * 2
    assert found[0] == {
        "file": "a.yaml",
        "line": 6,
        "resource": "ServiceEntry/b",
        "field": "spec.hosts[0]",
        "problem": "'é.com': not a host name",
        "hint": "write a DNS name such as api.example.com",
        "code": "invalid-value",
        "severity": "error",
    }
    assert (found[1]["line"], found[1]["code"]) == (None, "no-configuration")


def test_json_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty array."""
    Path("a.yaml").write_text(entry())

    assert run(capsys, "check", "-o", "json", "-f", "a.yaml")[:2] == (0, "[]\n")


@pytest.mark.parametrize(
    ("labels", "is_for_us"),
    [(None, True), ("app=sleep,version=v1", True), ("app=other", False), ("app=", False)],
)
def test_workload(capsys: pytest.CaptureFixture[str], labels: str | None, is_for_us: bool) -> None:  # noqa: FBT001
    """The labels of the one that the proxy stands for, as in the option llm_workload."""
    Path("a.yaml").write_text(provider(workloadSelector="{labels: {app: sleep}}"))

    status, out, _ = run(capsys, "check", "-f", "a.yaml", *(["--workload", labels] if labels else []))

    assert (status, "[not-for-us]" in out) == (0, not is_for_us)


def test_what_are_no_labels(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence about them."""
    err = run(capsys, "check", "--workload", "app")[2]

    assert err.endswith(
        "error: argument --workload: 'app' is not a list of labels; write app=sleep,version=v1\n"
    )


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`kubectl get ... -o yaml | llm-fallback check -f -`."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(entry(x="1").encode())))

    assert (
        run(capsys, "check", "-f", "-")[1]
        == "<stdin>:8: ServiceEntry/b: spec.x: unknown field [unknown-field]\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no-command"),
        pytest.param(["chek"], id="unknown-command"),
        pytest.param(["check", "config"], id="a-path-without-f"),
        pytest.param(["check", "-f"], id="f-without-a-path"),
        pytest.param(["check", "-o", "xml"], id="unknown-output"),
        pytest.param(["check", "--workload", "app"], id="no-labels"),
        pytest.param(["schema", "Pod"], id="unknown-kind"),
    ],
)
def test_bad_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Status 2, and how it is used."""
    status, out, err = run(capsys, *arguments)

    assert (status, out) == (2, "")
    assert err.startswith("usage: llm-fallback")


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Of one kind, or of all."""
    one = json.loads(run(capsys, "schema", "ServiceEntry")[1])
    every = json.loads(run(capsys, "schema")[1])

    assert one["properties"]["kind"] == {"const": "ServiceEntry"}
    assert "ServiceEntry" in every["$defs"]


def test_script(capsys: pytest.CaptureFixture[str]) -> None:
    """The path is of the file that mitmproxy loads."""
    status, out, _ = run(capsys, "script")

    assert status == 0
    assert Path(out.strip()) == ADDON / "llm_fallback" / "mitm" / "addon.py"
    assert Path(out.strip()).is_file()


@pytest.mark.parametrize(
    "option", ["--help", "--version", *(f"{name} --help" for name in ("check", "explain", "fault", "run"))]
)
def test_help_and_version(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Are no failure, and fit where code does."""
    status, out, _ = run(capsys, *option.split())

    assert status == 0
    assert out
    assert max(map(len, out.splitlines())) <= 110


def start(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The command as a process."""
    program = "import sys; from llm_fallback.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(ADDON)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_that_has_seen_enough() -> None:
    """`| head -1` ends it without a word."""
    Path("a.yaml").write_text("".join(entry(f"h{n}.com", name=f"e{n}", x="1") for n in range(3000)))

    process = start("check", "-f", "a.yaml")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"a.yaml:8: ")
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=60), said) == (1, b"")


def test_a_terminal_that_knows_only_ascii() -> None:
    """Gets escapes, and no traceback."""
    Path("a.yaml").write_text(entry("é.com"))

    out, err = start("check", "-f", "a.yaml", PYTHONIOENCODING="ascii").communicate(timeout=60)

    assert rb"'\xe9.com': not a host name" in out
    assert err == b"0 resources in 1 file: 1 error\n"
