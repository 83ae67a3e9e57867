"""The files by which other programs find a running proxy."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from llm_fallback import runtime
from llm_fallback.runtime import NoRuntimeError, Runtime
from tests.support.proxy import ROOT

HERE = Runtime(os.getpid(), ("127.0.0.1:8080",), "127.0.0.1:9901", "t0ken", 1_700_000_000.5)
THERE = replace(HERE, pid=os.getppid(), admin="127.0.0.1:9902", started_at=1_700_000_001.0)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {"LLM_FALLBACK_RUNTIME_DIR": str(tmp_path / "runtime")}


def ended_process() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"LLM_FALLBACK_RUNTIME_DIR": "/a", "XDG_RUNTIME_DIR": "/b"}, Path("/a")),
        ({"XDG_RUNTIME_DIR": "/b"}, Path("/b/llm-fallback")),
        ({}, Path.home() / ".mitmproxy/llm-fallback"),
    ],
)
def test_where_the_files_are(environment: Mapping[str, str], folder: Path) -> None:
    assert runtime.folder(environment) == folder


def test_what_is_written_is_found(environment: Mapping[str, str]) -> None:
    """By others and only by this account; nothing else is left behind."""
    file = runtime.write(replace(HERE, token="before"), environment)
    assert runtime.write(HERE, environment) == file

    assert runtime.find(environment=environment) == HERE
    assert HERE.url == "http://127.0.0.1:9901"
    assert file.name == f"{os.getpid()}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_what_is_removed_is_not_found(environment: Mapping[str, str]) -> None:
    """Removing it twice is no error."""
    runtime.write(HERE, environment)
    runtime.remove(HERE, environment)
    runtime.remove(HERE, environment)

    with pytest.raises(
        NoRuntimeError, match=r"^no proxy .* an admin page; start one with llm-fallback run, or "
    ):
        runtime.find(environment=environment)


def test_a_process_that_has_ended_is_forgotten(environment: Mapping[str, str]) -> None:
    """Its file is removed, and does not keep the other from being the only one."""
    stale = runtime.write(replace(THERE, pid=ended_process()), environment)
    runtime.write(HERE, environment)

    assert runtime.find(environment=environment) == HERE
    assert not stale.exists()


def test_a_start_removes_what_stayed_behind(environment: Mapping[str, str]) -> None:
    """The file of a process that was killed, with its token."""
    stale = runtime.write(replace(THERE, pid=ended_process()), environment)
    runtime.write(HERE, environment)

    assert not stale.exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/h", "LLM_FALLBACK_RUNTIME_DIR": "/a", "XDG_RUNTIME_DIR": "/b"},
        {"HOME": "/h", "XDG_RUNTIME_DIR": "/b"},
        {"HOME": "/h"},
    ],
)
def test_the_documented_way_leads_there(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is set."""
    monkeypatch.setenv("HOME", "/h")
    lines = (ROOT / "docs/admin.md").read_text(encoding="utf-8").splitlines()
    [line] = [line for line in lines if line.startswith("folder=")]
    shell = ["sh", "-uc", f'{line}; printf %s "$folder"']
    done = subprocess.run(shell, env={**environment}, capture_output=True, text=True, check=True)
    assert Path(done.stdout) == runtime.folder(environment)


def test_one_of_two(environment: Mapping[str, str]) -> None:
    """Has to be named."""
    runtime.write(THERE, environment)
    runtime.write(HERE, environment)

    with pytest.raises(NoRuntimeError, match=r"^2 proxies .*: 127.0.0.1:9901, 127.0.0.1:9902$"):
        runtime.find(environment=environment)
    assert runtime.find("127.0.0.1:9902", environment) == THERE
    assert runtime.find("http://localhost:9901/", environment) == HERE
    with pytest.raises(NoRuntimeError, match=r"with the admin page 127.0.0.1:1$"):
        runtime.find("127.0.0.1:1", environment)


def test_an_id_that_another_process_has_now(environment: Mapping[str, str]) -> None:
    """Two cannot listen at one address: the newer one does."""
    runtime.write(HERE, environment)
    runtime.write(replace(THERE, admin=HERE.admin), environment)

    assert runtime.find(environment=environment).pid == THERE.pid


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"pid": os.getpid(), "proxy": [1], "admin": "a"}),
        json.dumps({"pid": os.getpid(), "proxy": [], "admin": "a", "token": "t", "started_at": 10**400}),
    ],
    ids=["empty", "half", "a-list", "nothing", "deep", "no-addresses", "no-time"],
)
def test_what_is_not_ours_is_ignored(content: str, environment: Mapping[str, str]) -> None:
    """Whatever it holds, and whatever it is called."""
    runtime.write(THERE, environment)
    place = runtime.folder(environment)
    for name in (f"{os.getpid()}.json", "other.json", "٣.json"):
        (place / name).write_text(content)

    assert runtime.running(environment) == (THERE,)


@pytest.mark.skipif(sys.platform == "win32", reason="no such things there")
@pytest.mark.parametrize("kind", ["fifo", "symlink"])
def test_what_is_no_plain_file_is_not_opened(kind: str, environment: Mapping[str, str]) -> None:
    """To open a fifo waits for ever; a link leads elsewhere."""
    written = runtime.write(replace(HERE, pid=os.getpid()), environment)
    elsewhere = written.rename(written.with_name("elsewhere"))
    if kind == "fifo":
        os.mkfifo(written)
    else:
        written.symlink_to(elsewhere)

    assert runtime.running(environment) == ()


def test_no_folder(environment: Mapping[str, str]) -> None:
    assert runtime.running(environment) == ()


def test_the_token_is_not_shown() -> None:
    assert HERE.token not in repr(HERE)
    assert runtime.new_token() != runtime.new_token()
