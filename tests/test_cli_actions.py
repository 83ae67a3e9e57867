"""`llm-fallback eject|return|pin|fault|clear|reload`, as their user sees them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_fallback.cli import main
from tests.support.admin import TOKEN, Admin, announce, serving

DONE = (200, {"message": "it is done"})


@pytest.fixture
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    """A proxy that does what it is told."""
    actions = ("eject", "return", "pin", "fault", "clear", "reload")
    made = Admin({f"/api/actions/{name}": DONE for name in actions})
    with serving(made):
        announce(tmp_path, monkeypatch, made.address)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        yield made


@pytest.mark.parametrize(
    ("typed", "action", "data"),
    [
        ("eject a.com:80", "eject", {"place": "a.com:80"}),
        ("eject a.com --for 1m30s", "eject", {"place": "a.com", "for_s": 90.0}),
        ("return all", "return", {"place": "all"}),
        ("pin a.com b.com:80", "pin", {"host": "a.com", "target": "b.com:80"}),
        ("clear", "clear", {"what": "all"}),
        ("clear a.com", "clear", {"what": "a.com"}),
        ("reload", "reload", {}),
        ("fault a.com hang", "fault", {"place": "a.com", "fault": {"kind": "hang"}}),
        (
            "fault a.com:80 status 429 --header Retry-After:20 --count 3 --body busy",
            "fault",
            {
                "place": "a.com:80",
                "fault": {
                    "kind": "status",
                    "status": 429,
                    "count": 3,
                    "body": "busy",
                    "headers": {"Retry-After": "20"},
                },
            },
        ),
        (
            "fault a.com delay 2s --percentage 50%",
            "fault",
            {"place": "a.com", "fault": {"kind": "delay", "delay_s": 2.0, "percentage": 50.0}},
        ),
    ],
)
def test_what_is_asked_of_the_proxy(
    admin: Admin, capsys: pytest.CaptureFixture[str], typed: str, action: str, data: dict[str, Any]
) -> None:
    """With its token, directly; its answer is the output."""
    assert main(typed.split()) == 0
    assert capsys.readouterr().out == "it is done\n"
    (asked,) = admin.asked
    assert (asked.path, asked.token, asked.data) == (f"/api/actions/{action}", f"Bearer {TOKEN}", data)


def test_a_fault_from_a_file(admin: Admin, tmp_path: Path) -> None:
    """At its own place or another one, and as often as is said now."""
    file = tmp_path / "captured.json"
    fault = {"kind": "status", "status": 503, "body": "busy"}
    file.write_text(json.dumps({"place": "a.com:80", **fault}), encoding="utf-8")

    assert main(["fault", "-f", str(file)]) == 0
    assert main(["fault", "b.com", "-f", str(file), "--count", "2"]) == 0
    assert [asked.data for asked in admin.asked] == [
        {"place": "a.com:80", "fault": fault},
        {"place": "b.com", "fault": {**fault, "count": 2}},
    ]


def test_a_refusal_is_one_sentence(admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """The proxy's own, and status 1."""
    admin.answers["/api/actions/eject"] = (400, {"error": "no target a.co; there are a.com:80"})

    assert main(["eject", "a.co"]) == 1
    assert capsys.readouterr() == ("", "no target a.co; there are a.com:80\n")


def test_nobody_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1."""
    announce(tmp_path, monkeypatch)

    assert main(["clear"]) == 1
    assert "no proxy of this account is running with an admin page; start one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("eject a.com --for 30", "eject: --for: '30' is not a duration; write a number with a unit"),
        ("eject a.com --for=", "eject: --for: '' is not a duration; write a number with a unit"),
        ("fault a.com stat 503", "fault: no kind stat (did you mean status?)"),
        ("fault a.com status", "fault: status takes a status, such as 503"),
        ("fault a.com delay 2", "fault: delay: '2' is not a duration; write a number with a unit"),
        ("fault -f /does/not/exist", "fault: /does/not/exist cannot be read (No such file or directory)"),
    ],
)
def test_a_bad_value(admin: Admin, capsys: pytest.CaptureFixture[str], typed: str, sentence: str) -> None:
    """Is one line and status 2, and nothing is asked of the proxy."""
    assert main(typed.split()) == 2

    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"llm-fallback {sentence}")
    assert admin.asked == []


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("fault", "llm-fallback fault: error: write PLACE and a fault, or -f FILE"),
        ("fault a.com reset -f x.json", "llm-fallback fault: error: write the fault or -f FILE, not both"),
        ("pin a.com", "llm-fallback pin: error: the following arguments are required: TARGET"),
        ("clear all --bogus", "llm-fallback clear: error: unrecognized arguments: --bogus"),
    ],
)
def test_bad_usage(admin: Admin, capsys: pytest.CaptureFixture[str], typed: str, sentence: str) -> None:
    """Is the command's own usage and status 2, and nothing is asked of the proxy."""
    with pytest.raises(SystemExit) as ended:
        main(typed.split())

    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"usage: llm-fallback {typed.split(maxsplit=1)[0]} ")
    assert err.endswith(f"{sentence}\n")
    assert admin.asked == []
