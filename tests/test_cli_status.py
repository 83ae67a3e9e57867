"""`llm-fallback status`, as its user sees it."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_fallback import overview
from llm_fallback.cli import main
from tests.support.admin import Admin, announce, serving, state

NOBODY = (
    "no proxy of this account is running with an admin page; start one with llm-fallback run, or with"
    " mitmproxy's --set llm_admin=127.0.0.1:9901"
)


@pytest.fixture
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    """A proxy that runs, behind an environment that names another."""
    made = Admin({"/api/state": (200, state())})
    with serving(made):
        announce(tmp_path, monkeypatch, made.address)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        yield made


def test_the_table(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is in rotation, who is not and why; it is asked for directly, and without colours."""
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"127.0.0.1:8080, up 5 min, http://{admin.address}",
        "",
        "TARGET    ENDPOINT      STATE                     RETURNS  REQ  FAIL",
        "a.com:80  2 endpoints                                       12     3",
        "          10.0.0.1:443  ejected: consecutive 5xx  in 8 s",
        "          10.0.0.2:443  in rotation",
        "b.com:80  -             no endpoint                          0     0",
    ]
    assert [(asked.path, asked.token) for asked in admin.asked] == [("/api/state", None)]


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nine hours ahead."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_what_a_person_has_set(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """And the latest fallbacks among all that a policy watched; no provider's words act on the terminal."""
    decisions = [
        {"text": "chat -> a.com:80 | 200", "status": 200, "instead_of": None},
        *(
            {
                "text": f"chat -> a.com:80 {result}",
                "status": 200,
                "instead_of": None,
                "result": result,
                "rescue": {"policy": "chat", "reasons": reasons},
            }
            for result, reasons in [*[("answered", [])] * 9, ("rescued", ["a.com:80: 503"]), ("failed", [])]
        ),
        {
            "at": 1_700_000_001.0,
            "text": "chat -> b.com:80 instead of a.com:80 \x1b[31m",
            "status": 200,
            "instead_of": "a.com:80",
        },
        {
            "text": "chat -> c.com:80 after 503",
            "status": None,
            "instead_of": None,
            "result": "given up",
            "rescue": {"reasons": []},
        },
    ]
    admin.answers["/api/state"] = (
        200,
        state(
            pins=[{"host": "a.com", "target": "b.com:80"}],
            faults=[{"id": 3, "place": "a.com:80", "text": "reset, 2 left"}],
            decisions=decisions,
            configuration={
                "is_current": False,
                "findings": [
                    {"severity": "warning", "text": "a.yaml:1: odd"},
                    {"severity": "error", "text": "a.yaml:3: is wrong"},
                    {"severity": "error", "text": "a.yaml:4: is wrong, too"},
                ],
            },
        ),
    )

    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        "the last edit of its configuration has errors and is not in force: a.yaml:3: is wrong"
    )
    assert lines[-9:] == [
        "",
        "pinned   a.com to b.com:80",
        "fault 3  a.com:80: reset, 2 left",
        "",
        "LATEST FALLBACKS",
        "200  chat -> a.com:80 rescued",
        "200  chat -> a.com:80 failed",
        "07:13:21  200  chat -> b.com:80 instead of a.com:80 \\x1b[31m",
        "no answer  chat -> c.com:80 after 503",
    ]


def test_json_is_the_state_itself(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """As the API tells it."""
    assert main(["status", "-o", "json", "--admin", admin.address]) == 0
    assert json.loads(capsys.readouterr().out) == state()


def test_watching_goes_on_until_the_proxy_is_gone(
    admin: Admin, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal, one after the other."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            admin.answers["/api/state"] = (500, "no")

    monkeypatch.setattr("llm_fallback.cli.status.time.sleep", wait)

    assert main(["status", "--watch", "-o", "json"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [state()] * 2
    assert waits == [1.0, 1.0]
    assert err == f"the proxy at {admin.address} answers 500 to /api/state\n"


def test_a_terminal_is_redrawn_in_colours(
    admin: Admin, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main(["status"])
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["status"])
    plain = capsys.readouterr().out

    assert "\x1b[31mejected: consecutive 5xx" in coloured
    assert "\x1b[32min rotation" in coloured
    assert "\x1b" not in plain
    assert len(admin.asked) == 2


def crowded() -> Mapping[str, Any]:
    """A state with much to say in each line."""
    said = state(
        pins=[{"host": "a.com", "target": f"{'b' * 100}.com:80"}],
        faults=[{"id": 1, "place": "a.com:80", "text": "x" * 100}],
        decisions=[{"at": 0.0, "text": "y" * 200, "status": 200, "instead_of": "a.com:80"}],
        configuration={"is_current": False, "findings": [{"severity": "error", "text": "why " * 50}]},
    )
    for target in said["targets"]:
        for endpoint in target["endpoints"]:
            endpoint["active_requests"] = 0
    return said


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (76, "TARGET    ENDPOINT      STATE                     RETURNS  ACTIVE  REQ  FAIL"),
        (75, "TARGET    ENDPOINT      STATE                     RETURNS  REQ  FAIL"),
        (60, "TARGET    ENDPOINT      STATE             RETURNS  REQ  FAIL"),
        (54, "TARGET    ENDPOINT      STATE                  RETURNS"),
        (44, "TARGET    ENDPOINT      STATE        RETURNS"),
        (40, "TARGET    ENDPOINT      STATE"),
        (32, "TARGET    ENDPOINT    STATE"),
    ],
)
def test_nothing_is_wider_than_the_terminal(
    admin: Admin,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    header: str,
) -> None:
    """Columns go before names are clipped; what says which edit is wrong is wrapped and whole."""
    admin.answers["/api/state"] = (200, crowded())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert main(["status"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert header in lines
    assert max(map(len, lines)) <= width
    assert [line[-1] for line in lines if line.startswith(("pinned", "fault")) or "  200  y" in line] == [
        "…"
    ] * 3
    assert out.count("why") == 50


def test_interrupted(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it as it ends others."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_fallback.cli.status.time.sleep", interrupt)
    assert main(["status", "--watch"]) == 130
    assert len(admin.asked) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [((200, "no json"), "answers to /api/state is not JSON"), ((403, {"error": "not you"}), "not you")],
)
def test_answers_that_are_none(
    admin: Admin, capsys: pytest.CaptureFixture[str], answer: tuple[int, object], said: str
) -> None:
    """One sentence, and status 1."""
    admin.answers["/api/state"] = answer

    assert main(["status"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_nobody_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None that is known, one that does not answer, and too many to choose from."""
    announce(tmp_path, monkeypatch)
    assert main(["status"]) == 1
    announce(tmp_path, monkeypatch, "127.0.0.1:1")
    assert main(["status"]) == 1
    announce(tmp_path, monkeypatch, "127.0.0.1:1", "127.0.0.1:2")
    assert main(["status"]) == 1

    assert capsys.readouterr().err.splitlines() == [
        NOBODY,
        "the proxy at 127.0.0.1:1 does not answer",
        "2 proxies are running; say which one with --admin ADDRESS: 127.0.0.1:1, 127.0.0.1:2",
    ]


def test_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Is status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["status", "-o", "yaml"])
    assert ended.value.code == 2
    assert "yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (8.4, "8 s"), (119, "119 s"), (300, "5 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    """As people say them."""
    assert overview.duration(seconds) == text
