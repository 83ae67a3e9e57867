"""Saving a file of the configuration applies it; a bad edit replaces nothing and says so."""

import os
import pty
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import ask
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting

OLD, NEW = "old.test", "new.test"
SCRIPT = """\
from mitmproxy import ctx, http

def request(flow):
    if flow.request.host == "control.test":
        if flow.request.path == "/reload":
            ctx.master.commands.call("llm.reload")
        else:
            ctx.options.update(llm_config=flow.request.path)
        flow.response = http.Response.make(200, b"done")
"""
RUN_WITH_TERMINAL = """\
import os, signal, sys
os.setsid()
os.open(sys.argv[1], os.O_RDWR)
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[2]))
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Two providers, and a folder for configurations that name one of them or both."""

    setting: Setting
    folder: Path
    old: Provider
    new: Provider

    def write(self, *names: str, into: Path | None = None) -> Path:
        """A configuration for the hosts with these names, saved in place."""
        ports = {OLD: self.old.port, NEW: self.new.port}
        return write_mesh(into or self.folder, *(Host(name=name, port=ports[name]) for name in names))

    def proxy(self, config: Path, *options: str) -> Proxy:
        """A proxy with it, and with the script that controls it."""
        script = self.folder.parent / "control.py"
        script.write_text(SCRIPT, encoding="utf-8")
        return Proxy(self.setting, config, "-s", str(script), *options)


@pytest.fixture(name="stage")
def providers(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> Iterator[Stage]:
    old = Provider(respond(200, b"old"), authority.issue(OLD))
    new = Provider(respond(200, b"new"), authority.issue(NEW))
    with ExitStack() as stack:
        stack.enter_context(background.serving(old))
        stack.enter_context(background.serving(new))
        yield Stage(setting, tmp_path / "mesh", old, new)


def save(stage: Stage) -> None:
    stage.write(OLD, NEW)


def save_by_rename(stage: Stage) -> None:
    stage.write(OLD, NEW, into=stage.folder / "new").replace(stage.folder / "mesh.yaml")


def swap(stage: Stage) -> None:
    """What Kubernetes does when a mounted ConfigMap changes."""
    version = stage.folder / "..version"
    stage.write(OLD, NEW, into=version)
    (stage.folder / "..next").symlink_to(version.name)
    (stage.folder / "..next").rename(stage.folder / "..data")


def mount(stage: Stage) -> None:
    """A mounted ConfigMap."""
    (stage.folder / "mesh.yaml").rename(stage.folder / "..data")
    (stage.folder / "..first").mkdir()
    (stage.folder / "..data").rename(stage.folder / "..first" / "mesh.yaml")
    (stage.folder / "..data").symlink_to("..first")
    (stage.folder / "mesh.yaml").symlink_to("..data/mesh.yaml")


def leave(stage: Stage) -> None:
    """A plain folder."""


@pytest.mark.parametrize(
    ("prepare", "change"),
    [
        pytest.param(leave, save, id="saved-in-place"),
        pytest.param(leave, save_by_rename, id="saved-by-rename"),
        pytest.param(mount, swap, id="config-map"),
    ],
)
def test_an_edit_applies(
    prepare: Callable[[Stage], None], change: Callable[[Stage], None], stage: Stage
) -> None:
    """By itself, soon, and once; what was there before goes on."""
    stage.write(OLD)
    prepare(stage)
    with stage.proxy(stage.folder) as proxy:
        assert ask(proxy, f"http://{OLD}").body == b"old"
        change(stage)
        proxy.wait_for_line(rf"managing {OLD}, {NEW}$")
        assert ask(proxy, f"http://{NEW}").body == b"new"
        assert ask(proxy, f"http://{OLD}").body == b"old"
    assert (stage.old.connections, proxy.log.count("managing ")) == (1, 2)


def test_a_bad_edit(stage: Stage) -> None:
    """It is named with file and line, once, and replaces nothing; the edit that repairs it applies."""
    config = stage.write(OLD)
    good = config.read_text(encoding="utf-8")
    with stage.proxy(config) as proxy:
        config.write_text(good.replace("kind: LLMProvider", "kind: LLMProvidr"), encoding="utf-8")
        # An empty file, as it is while it is being written, is refused as well.
        proxy.wait_for_line(r"mesh\.yaml:2: .*did you mean LLMProvider")
        proxy.wait_for_line("the one before stays in force$")
        errors = [
            line for line in proxy.lines if re.search(r"mesh\.yaml:2: .*did you mean LLMProvider", line)
        ]
        assert len(errors) == 1
        assert ask(proxy, f"http://{OLD}").body == b"old"
        os.utime(config)  # the same again, which is nothing to say
        config.unlink()
        proxy.wait_for_line(r"mesh\.yaml: does not exist")
        assert ask(proxy, f"http://{OLD}").body == b"old"
        stage.write(OLD, NEW)
        proxy.wait_for_line(rf"managing {OLD}, {NEW}$")
        assert ask(proxy, f"http://{NEW}").body == b"new"
    assert proxy.log.count("did you mean LLMProvider") == 1


def hang_up(proxy: Proxy) -> None:
    os.kill(proxy.pid, signal.SIGHUP)


def command(proxy: Proxy) -> None:
    assert ask(proxy, "http://control.test/reload").body == b"done"


@pytest.mark.parametrize(
    "demand",
    [
        pytest.param(
            hang_up, marks=pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
        ),
        command,
    ],
)
def test_on_demand(demand: Callable[[Proxy], None], stage: Stage) -> None:
    """Without the watcher, a signal or the command loads the files, changed or not."""
    config = stage.write(OLD)
    with stage.proxy(config, "--set", "llm_watch=false") as proxy:
        demand(proxy)
        wait_until(lambda: proxy.log.count(f"managing {OLD}") == 2, "the same is loaded again")
        stage.write(OLD, NEW)
        demand(proxy)
        proxy.wait_for_line(rf"managing {OLD}, {NEW}$")
        assert ask(proxy, f"http://{NEW}").body == b"new"


def test_another_path(stage: Stage) -> None:
    """From when it is set, that one is watched."""
    other = stage.write(OLD, into=stage.folder.parent / "other")
    with stage.proxy(stage.write(NEW)) as proxy:
        assert ask(proxy, f"http://control.test{other}").body == b"done"
        proxy.wait_for_line(rf"managing {OLD}$")
        stage.write(OLD, NEW, into=other.parent)
        proxy.wait_for_line(rf"managing {OLD}, {NEW}$")


def test_a_bad_value_of_the_option(setting: Setting, tmp_path: Path) -> None:
    """It ends the start."""
    config = write_mesh(tmp_path / "mesh", Host(name=OLD))
    ended = setting.run_to_end(config, "--set", "llm_watch=maybe")
    assert ended.returncode == 1
    assert "llm_watch: 'maybe' is neither true nor false" in ended.stdout
    assert "Traceback" not in ended.stdout


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
@pytest.mark.parametrize("is_ignored", [False, True], ids=["plain", "nohup"])
def test_a_terminal_that_is_closed(is_ignored: bool, stage: Stage) -> None:  # noqa: FBT001
    """Its SIGHUP is no wish for a reload: the proxy ends, as programs do that nohup did not start."""
    ours, theirs = pty.openpty()
    handler = "SIG_IGN" if is_ignored else "SIG_DFL"
    run = [sys.executable, "-c", RUN_WITH_TERMINAL, os.ttyname(theirs), handler]
    stage = replace(stage, setting=stage.setting.from_scratch(*run))
    with stage.proxy(stage.write(OLD)) as proxy:
        hang_up(proxy)
        wait_until(lambda: proxy.log.count(f"managing {OLD}") == 2, "with the terminal, it is a reload")
        os.close(theirs)
        os.close(ours)
        if is_ignored:
            wait_until(lambda: proxy.log.count(f"managing {OLD}") == 3, "without it, it is one, too")
        else:
            assert proxy.wait() == 0
