"""`llm-fallback explain`, as a person or a program calls it."""

import json
from pathlib import Path

import pytest

from llm_fallback.cli import main
from tests.config.written import CUSTOM, entry, openai, provider, rule, virtual_service

ROOT = Path(__file__).parents[1]
CONFIGURATION = (
    provider(
        "a.com",
        name="a",
        metadata=CUSTOM,
        path="/a/chat/completions",
        configs=openai(model="m", apiKey="canary-provider"),
    )
    + rule(
        "a.com",
        trafficPolicy="{tls: {mode: SIMPLE}, outlierDetection:"
        " {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 10s, maxEjectionPercent: 100}}",
    )
    + entry("b.com", name="b")
    + virtual_service(
        "a.com",
        http="\n"
        "  - name: premium\n"
        "    match: [{headers: {user-type: {exact: subscriber}}}]\n"
        "    route: [{destination: {host: b.com}}]\n"
        "  - name: all\n"
        "    route: [{destination: {host: a.com}, fallback: {target: {host: b.com}}}]\n"
        "    timeout: 30s",
    )
)
TO_A = ("--url", "http://a.com/")
STORY = """\
POST http://a.com/
rule     all  mesh.yaml:33 VirtualService/vs  (2 of 2; it takes every request)
         not premium: the header user-type is missing (mesh.yaml:31)
target   a.com:80, 1 endpoint, in rotation
         mesh.yaml:2 LLMProvider/a
         mesh.yaml:10 DestinationRule/b
fallback b.com:80, 1 endpoint, in rotation; used while a.com:80 has no healthy endpoint
         mesh.yaml:17 ServiceEntry/b
sends    POST https://a.com/a/chat/completions
         to a.com:443 over TLS (SNI a.com)
         x-envoy-attempt-count: 1
         x-envoy-expected-rq-timeout-ms: 30000
         Authorization: Bearer [redacted]
         body of 14 bytes
         defaultConfig sets the key, model "m"
pool     connects within 10 s; no limit on connections or requests
ejects   a.com:80 after 1 consecutive 5xx; for 10 s x multiplier, at most 300 s; sweep every 1 s; at
           most 100 % of the endpoints
limits   30 s for all attempts together; 2 retries on cancelled, connect-failure, refused-stream,
           unavailable
"""


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("mesh.yaml").write_text(CONFIGURATION)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, output, and what was said beside it."""
    try:
        status = main(["explain", "-f", "mesh.yaml", *arguments])
    except SystemExit as exit_:
        status = int(str(exit_.code))
    output = capsys.readouterr()
    return status, output.out, output.err


def test_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *TO_A, "--body", "{}") == (0, STORY, "")


def test_places_are_told_from_the_working_directory(capsys: pytest.CaptureFixture[str]) -> None:
    """However the files were named; those elsewhere keep their whole paths."""
    elsewhere = Path.cwd().parent / "elsewhere.yaml"
    elsewhere.write_text(entry("c.com", name="c"))

    assert main(["explain", "-f", f"{Path.cwd()}/mesh.yaml", f"{elsewhere}", *TO_A, "--body", "{}"]) == 0
    near = capsys.readouterr().out
    assert main(["explain", "-f", "mesh.yaml", f"{elsewhere}", "--url", "http://c.com/"]) == 0
    far = capsys.readouterr().out

    assert near == STORY
    assert f"\n         {elsewhere}:2 ServiceEntry/c\n" in far


def test_data(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys are a promise (docs/explain.md)."""
    status, out, err = run(capsys, *TO_A, "-o", "json", "--body", "{}")

    told = json.loads(out)
    (destination,) = told["destinations"]
    assert (status, err) == (0, "")
    assert list(told) == [
        *("request", "rules", "rejected", "rule", "answer", "fault", "destinations", "timeout_s"),
        *("retries", "why_no_retries", "rescue", "why_no_rescue", "mirrors", "cors_headers"),
    ]
    assert list(told["rule"]) == [
        *("name", "source", "number", "of", "match", "match_name", "request_headers", "response_headers")
    ]
    assert list(destination) == [
        *("name", "percent", "request_headers", "response_headers", "target", "fallback", "chain"),
        *("uses", "place", "sent", "answer"),
    ]
    assert list(destination["place"]) == [
        *("name", "host", "port", "subset", "resources", "endpoints", "per_address", "is_healthy", "tls"),
        *("ejects", "panic_threshold", "balancing", "limits"),
    ]
    assert destination["sent"] == {
        "method": "POST",
        "url": "https://a.com/a/chat/completions",
        "sni": "a.com",
        "endpoints": ["a.com:443"],
        "is_hashed": False,
        "config": "defaultConfig",
        "has_providers_key": True,
        "headers": [
            ["Host", "a.com"],
            ["x-envoy-attempt-count", "1"],
            ["x-envoy-expected-rq-timeout-ms", "30000"],
            ["Authorization", "Bearer [redacted]"],
        ],
        "withheld": [],
        "body": {"bytes": 14, "set": {"model": "m"}, "kept": []},
    }
    assert told["rejected"] == [
        {
            "name": "premium",
            "source": "mesh.yaml:30 VirtualService/vs",
            "mismatches": [{"name": "", "source": "mesh.yaml:31", "why": "the header user-type is missing"}],
        }
    ]
    assert told["retries"]["retry_on"] == ["cancelled", "connect-failure", "refused-stream", "unavailable"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([*TO_A, "--eject", "a.com"], "used: a.com:80 has no healthy endpoint", id="fallback"),
        pytest.param([*TO_A, "--eject", "A.com:80"], "used: a.com:80 has no healthy endpoint", id="port"),
        pytest.param(
            [*TO_A, "--eject", "a.com", "--eject", "b.com"],
            "answers  503 no healthy upstream [UH]",
            id="both",
        ),
        pytest.param([*TO_A, "--header", "user-type: subscriber"], "rule     premium", id="header"),
        pytest.param(["--url", "http://x.com"], "not managed: the request passes through", id="unmanaged"),
        pytest.param([*TO_A, "--method", "GET"], "sends    GET https://a.com/", id="method"),
        pytest.param([*TO_A, "--body", "@body.json"], "body of 14 bytes", id="body-of-a-file"),
        pytest.param([*TO_A, "--workload", "app=sleep"], "rule     all", id="workload"),
    ],
)
def test_questions(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    Path("body.json").write_text('{"model": "client\'s"}')

    status, out, err = run(capsys, *arguments)

    assert (status, err) == (0, "")
    assert expected in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], "required: --url", id="no-url"),
        pytest.param(["--url", "a.com"], "--url: not a URL; write it whole", id="no-scheme"),
        pytest.param(["--url", "http://a.com:x/"], "--url: not a URL; write it whole", id="bad-port"),
        pytest.param(["--url", "http://me:canary@a.com/"], "--url: it names a user", id="user"),
        pytest.param([*TO_A, "--header", "canary"], "--header: number 1 is not a header", id="header"),
        pytest.param([*TO_A, "--body", "@gone"], "--body: gone cannot be read (No such file", id="file"),
        pytest.param([*TO_A, "--workload", "app"], "--workload: 'app' is not a list of labels", id="labels"),
        pytest.param(
            [*TO_A, "--eject", "a.con"],
            "--eject: no target a.con (did you mean a.com:80?); there are b.com:80, a.com:80",
            id="unknown-host",
        ),
        pytest.param(
            [*TO_A, "--eject", "a.com:81"],
            "--eject: no target a.com:81 (did you mean a.com:80?)",
            id="unknown-port",
        ),
        pytest.param([*TO_A, "--eject", "a.com/v1"], "--eject: no target a.com/v1 (", id="unknown-subset"),
        pytest.param(
            [*TO_A, "--eject", ":80"], "--eject: ':80' is no place; write HOST[:PORT]", id="no-host"
        ),
        pytest.param(
            [*TO_A, "--eject", "a.com@10.0.0.1:443"],
            "--eject: 'a.com@10.0.0.1:443' is an endpoint; write its target, HOST[:PORT][/SUBSET]",
            id="endpoint",
        ),
    ],
)
def test_bad_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    """One sentence, which quotes nothing that may be a key."""
    status, out, err = run(capsys, *arguments)

    assert (status, out) == (2, "")
    assert expected in err.splitlines()[-1]
    assert "canary" not in err


def test_a_configuration_with_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """They are named as `check` names them, and there is no story."""
    Path("mesh.yaml").write_text(entry(x="1"))

    assert run(capsys, *TO_A) == (
        1,
        "",
        "mesh.yaml:8: ServiceEntry/b: spec.x: unknown field [unknown-field]\n",
    )


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize("ejected", [[], ["--eject", "a.com"], ["--eject", "a.com", "--eject", "b.com"]])
@pytest.mark.parametrize("user", ["subscriber", "other"])
def test_no_key_is_shown(
    capsys: pytest.CaptureFixture[str], output: str, ejected: list[str], user: str
) -> None:
    """The provider's or the client's, wherever it is; the rest of the request is."""
    status, out, err = run(
        capsys,
        *("--url", "http://a.com/?api_key=canary-query&page=7"),
        *("--header", "Authorization: Bearer canary-header", "--header", "x-api-key: canary-header"),
        *("--header", "Referer: http://a.com/?token=canary-referer", "--header", f"user-type: {user}"),
        *("--body", '{"api_key": "canary-body", "messages": ["canary-body"]}', "-o", output, *ejected),
    )

    assert (status, err) == (0, "")
    assert "canary" not in out
    assert "page=7" in out


def test_a_terminals_commands_are_not_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, *TO_A, "--header", "user-type: \x9b2J")[1]

    assert "\x9b" not in out
    assert "\\x9b2J" in out


def test_the_story_of_the_documentation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command in docs/explain.md says what is printed there."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("dashscopeAPI_KEY", "canary")
    host = "asm-llm-provider-test.com"

    assert (
        main(
            [
                *("explain", "--url", f"http://{host}/", "--header", "Authorization: Bearer sk-mine"),
                *("--body", '{"messages": [], "stream": true}', "--eject", host),
            ]
        )
        == 0
    )

    assert capsys.readouterr().out in (ROOT / "docs" / "explain.md").read_text()


def test_a_dot_at_the_end_of_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the same host."""
    assert run(capsys, "--url", "http://A.com./") == run(capsys, "--url", "http://a.com/")
