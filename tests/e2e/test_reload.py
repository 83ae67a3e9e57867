"""A script or a configuration that is loaded anew while requests run: nothing known gets lost."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import QUESTION, ask, connect, read_to_end, request_bytes
from tests.support.mesh import Host, write_mesh
from tests.support.provider import SSE_HEAD, Feed, Provider, hang, respond
from tests.support.proxy import ROOT, Proxy, Setting

STREAMING, FAILING, FALLBACK = "streaming.test", "failing.test", "fallback.test"


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy with a script of its own that loads the addon, and three providers."""

    proxy: Proxy
    edited: Path
    streaming: Provider
    failing: Provider
    fallback: Provider

    def reload(self) -> None:
        """Save the file once more, and wait until it is loaded again."""
        before = self._count()
        ahead = time.time_ns() + before * 10**10
        edit = self.edited.with_suffix(".tmp")
        edit.write_text(f"{self.edited.read_text(encoding='utf-8')}\n# another edit\n", encoding="utf-8")
        os.utime(edit, ns=(ahead, ahead))  # mitmproxy goes by the time only
        edit.replace(self.edited)  # at once: a file that is noticed half-way is loaded twice
        wait_until(lambda: self._count() > before, "the file is loaded again")

    def _count(self) -> int:
        return self.proxy.log.count("managing ")


@pytest.fixture(name="stage", params=["script", "configuration"])
def running(
    request: pytest.FixtureRequest,
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path: Path,
) -> Iterator[Stage]:
    script = tmp_path / "main.py"
    text = (ROOT / "addon" / "main.py").read_text(encoding="utf-8")
    script.write_text(
        text.replace("Path(__file__).resolve().parent", f"Path({str(ROOT / 'addon')!r})"), "utf-8"
    )
    streaming = Provider(respond(200, b"still here"), authority.issue(STREAMING))
    failing = Provider(respond(500), authority.issue(FAILING))
    fallback = Provider(respond(200, b"the fallback"), authority.issue(FALLBACK))
    with ExitStack() as stack:
        for provider in (streaming, failing, fallback):
            stack.enter_context(background.serving(provider))
        config = write_mesh(
            tmp_path / "mesh",
            Host(name=STREAMING, port=streaming.port, threshold=1),
            Host(name=FAILING, port=failing.port, threshold=1, fallback=FALLBACK),
            Host(name=FALLBACK, port=fallback.port),
        )
        options = ("-s", str(script), "--set", f"llm_config={config}")
        proxy = stack.enter_context(Proxy(setting, None, *options))
        edited = {"script": script, "configuration": config}[request.param]
        yield Stage(proxy, edited, streaming, failing, fallback)


def test_a_stream_under_way_goes_on(background: Background, stage: Stage) -> None:
    """Through two reloads, to its own end; its connection is then used again."""
    feed = Feed(background)
    stage.streaming.behaviour = feed
    with connect(stage.proxy.port) as sock:
        request = request_bytes(f"http://{STREAMING}/", STREAMING, QUESTION.encode(), "Connection: close")
        sock.sendall(request)
        feed.send(SSE_HEAD)
        received = b""
        for number in range(3):
            event = b"data: %d\n\n" % number
            feed.event(event)
            while event not in received:
                data = sock.recv(65536)
                assert data, "the stream ended"
                received += data
            if number < 2:
                stage.reload()
        feed.event(b"")
        feed.done()
        received += read_to_end(sock)
    stage.streaming.behaviour = respond(200, b"still here")

    assert received.endswith(b"data: 2\n\n\r\n0\r\n\r\n")
    assert ask(stage.proxy, f"http://{STREAMING}").body == b"still here"
    assert (stage.streaming.connections, "ejected" in stage.proxy.log) == (1, False)


def test_a_client_that_leaves_after_a_reload(stage: Stage) -> None:
    """An exchange that began before it can still be cancelled."""
    stage.streaming.behaviour = hang
    with connect(stage.proxy.port) as sock:
        sock.sendall(request_bytes(f"http://{STREAMING}/", STREAMING, QUESTION.encode()))
        wait_until(lambda: stage.streaming.exchanges, "the provider has the request")
        stage.reload()
    wait_until(stage.streaming.exchanges[0].ended.is_set, "the provider's connection is closed")
    stage.proxy.wait_for_line(r"\| no answer DC in ")


def test_ejections_are_kept(stage: Stage) -> None:
    """Who was ejected before is not asked after."""
    assert ask(stage.proxy, f"http://{FAILING}").status == 500
    assert ask(stage.proxy, f"http://{FAILING}").body == b"the fallback"
    stage.reload()
    assert ask(stage.proxy, f"http://{FAILING}").body == b"the fallback"
    assert (len(stage.failing.requests), stage.proxy.log.count("ejected failing.test:80 ")) == (1, 1)
