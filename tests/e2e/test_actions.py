"""A person acts on the real proxy: by commands, by the admin API, and from another terminal."""

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from llm_fallback import runtime
from llm_fallback.cli import main
from llm_fallback.overrides.words import fault_words, seconds
from llm_fallback.runtime import Runtime
from tests.support import commands
from tests.support.background import Background, wait_until
from tests.support.clients import JSON, QUESTION, TIMEOUT_S, connect, http_client, request_bytes
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting
from tests.support.secret import Secret

KEY = Secret("the provider's key", "sk-provider-9d2e4f60")
FIRST, SECOND = "first.test", "second.test"
URL = f"http://{FIRST}/v1/chat/completions"
DEAD_PROXY = {"HTTP_PROXY": "http://127.0.0.1:9"}
TYPIST = """
import json
from mitmproxy import ctx, exceptions, http

last = {}

def response(flow):
    if flow.request.host != "prompt.invalid":
        last["flow"] = flow

def request(flow):
    if flow.request.host != "prompt.invalid":
        return
    line = flow.request.text
    try:
        if line.startswith("llm.explain"):
            said = ctx.master.commands.call("llm.explain", [last["flow"]])
        elif line.startswith("llm.export"):
            said = ctx.master.commands.call("llm.export", last["flow"], line.split()[1])
        else:
            said = ctx.master.commands.execute(line)
        flow.response = http.Response.make(200, json.dumps(said))
    except exceptions.CommandError as error:
        flow.response = http.Response.make(400, str(error))
"""

type Act = Callable[..., str]
"""Does what the words say; returns what is said of it, or raises RefusedError."""


class RefusedError(Exception):
    """What is said of an action that cannot be."""


@dataclass(frozen=True)
class Desk:
    """The proxy, a client of it, and all that a person has to act on it."""

    proxy: Proxy
    client: httpx.Client
    folder: Path
    setting: Setting

    def ask(self) -> tuple[int, str]:
        """Status and body of a request to the first provider."""
        answer = self.client.post(URL, content=QUESTION, headers=JSON)
        return answer.status_code, answer.text

    def command(self, *words: str) -> str:
        """Type it at mitmproxy's prompt; the log tells what was done."""
        told = len(self.proxy.lines)
        said = self.type(" ".join((f"llm.{words[0]}", *words[1:])))
        return said or self._action(told)

    def type(self, line: str) -> str:
        """What the prompt shows."""
        answer = self.client.post("http://prompt.invalid/", content=line)
        if answer.status_code != 200:
            raise RefusedError(answer.text)
        said = answer.json()
        return "\n".join(said) if said else ""

    @property
    def known(self) -> Runtime:
        """What the proxy's file tells of it."""
        return runtime.find(None, {runtime.FOLDER_VARIABLE: str(self.folder / "run")})

    def state(self) -> dict[str, Any]:
        """How things are, as the admin API tells it."""
        answer = httpx.get(f"{self.known.url}/api/state", trust_env=False, timeout=TIMEOUT_S)
        state: dict[str, Any] = answer.json()
        return state

    def api(self, *words: str) -> str:
        """Ask the admin API."""
        known = self.known
        answer = httpx.post(
            f"{known.url}/api/actions/{words[0]}",
            json=_data(*words),
            headers={"Authorization": f"Bearer {known.token}"},
            trust_env=False,
            timeout=TIMEOUT_S,
        )
        if answer.status_code != 200:
            raise RefusedError(answer.json()["error"])
        message: str = answer.json()["message"]
        return message

    def cli(self, *words: str) -> str:
        """Give it to our command."""
        out, err = io.StringIO(), io.StringIO()
        own = {**self.setting.environment, **DEAD_PROXY}
        with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ, own):
            status = main(words)
        if status:
            raise RefusedError(err.getvalue().strip())
        return out.getvalue().strip()

    def shell(self, *words: str) -> str:
        """Type it at a shell's prompt."""
        done = commands.run(self.setting, self.folder, *words, **DEAD_PROXY)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _action(self, told: int) -> str:
        def found() -> list[str]:
            return [line for line in self.proxy.lines[told:] if "action: " in line]

        wait_until(lambda: bool(found()), "the action in the log")
        return found()[-1].partition("action: ")[2]


def _data(name: str, *words: str) -> dict[str, object]:
    """What the API wants for these words."""
    match name:
        case "eject":
            return {"place": words[0], **({"for_s": seconds(words[2])} if len(words) > 1 else {})}
        case "return":
            return {"place": words[0]}
        case "pin":
            return {"host": words[0], "target": words[1]}
        case "fault":
            return {"place": words[0], "fault": fault_words(words[1:])}
        case _:
            return {"what": words[0]}


@pytest.fixture(scope="module")
def desk(
    background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """Two providers, the second the first one's fallback."""
    folder = tmp_path_factory.mktemp("desk")
    ours = replace(setting, environment={runtime.FOLDER_VARIABLE: str(folder / "run")})
    typist = folder / "typist.py"
    typist.write_text(TYPIST, encoding="utf-8")
    providers = {name: Provider(respond(200, name.encode())) for name in (FIRST, SECOND)}
    with ExitStack() as stack:
        for provider in providers.values():
            stack.enter_context(background.serving(provider))
        hosts = [
            Host(
                name=name,
                port=provider.port,
                tls=False,
                key=KEY.value,
                fallback=SECOND if name == FIRST else None,
            )
            for name, provider in providers.items()
        ]
        config = write_mesh(folder / "mesh", *hosts)
        proxy = stack.enter_context(Proxy(ours, config, "-s", str(typist), "--set", "llm_admin=127.0.0.1:0"))
        proxy.wait_for_line("admin page at ")
        yield Desk(proxy, stack.enter_context(http_client(proxy)), folder, ours)


@pytest.fixture(params=["command", "api", "cli"])
def act(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Act]:
    """One of the three, with nothing set before and after."""
    yield getattr(desk, request.param)
    desk.api("return", "all")
    desk.api("clear", "all")


def test_eject_and_return(desk: Desk, act: Act) -> None:
    """The fallback acts until the target is returned."""
    assert desk.ask() == (200, FIRST)
    assert act("eject", FIRST) == f"ejected {FIRST}:80 by hand until it is returned"
    assert desk.ask() == (200, SECOND)
    assert act("return", f"{FIRST}:80").startswith(f"returned {FIRST}:80@127.0.0.1:")
    assert desk.ask() == (200, FIRST)


def test_an_ejection_ends_by_itself(desk: Desk, act: Act) -> None:
    """When its time is over."""
    assert act("eject", FIRST, "--for", "5s") == f"ejected {FIRST}:80 by hand for 5 s"
    assert desk.ask() == (200, SECOND)
    wait_until(lambda: desk.ask() == (200, FIRST), "the return")


def test_pin_and_clear(desk: Desk, act: Act) -> None:
    """Requests go where the person wants them, whoever is out of rotation."""
    act("eject", SECOND)
    assert act("pin", FIRST, f"{SECOND}:80") == f"pinned {FIRST} to {SECOND}:80 until cleared"
    assert desk.ask() == (200, SECOND)
    desk.proxy.wait_for_line(rf"-> {SECOND}:80 \(pinned to {SECOND}:80\)")
    assert act("clear", "all") == "cleared 1 pin and 1 ejection by hand"
    assert desk.ask() == (200, FIRST)


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("status 418", 418, "418 (injected)"),
        ("reset --count 9", 503, "reset (reset before the response) (injected)"),
        ("connect-failure", 503, "connect-failure (no connection) (injected)"),
        ("delay 10ms", 200, "200 (injected delay 0.01 s)"),
    ],
)
def test_faults(desk: Desk, act: Act, fault: str, status: int, told: str) -> None:
    """The client sees what a provider would have done, and the log says who did it."""
    before = len(desk.proxy.requests())
    act("fault", FIRST, *fault.split())
    assert desk.ask()[0] == status
    wait_until(lambda: len(desk.proxy.requests()) > before, "the request in the log")
    assert told in desk.proxy.requests()[-1]
    assert act("clear", FIRST) == f"cleared 1 fault at {FIRST}"
    assert desk.ask() == (200, FIRST)


def test_a_cut_answer(desk: Desk, act: Act) -> None:
    """Never ends cleanly."""
    act("fault", FIRST, "cut", "--count", "1")
    with pytest.raises(httpx.RemoteProtocolError):
        desk.ask()
    assert desk.ask() == (200, FIRST)


def test_a_hang(desk: Desk, act: Act) -> None:
    """Lasts until the client has had enough."""
    act("fault", FIRST, "hang", "--count", "1")
    with connect(desk.proxy.port) as client:
        client.sendall(request_bytes(URL, FIRST, QUESTION.encode()))
        wait_until(lambda: not desk.state()["faults"], "the fault has been met")
        client.setblocking(False)  # noqa: FBT003 - its only argument
        with pytest.raises(BlockingIOError):
            client.recv(1)
    assert desk.ask() == (200, FIRST)


def test_a_refusal(desk: Desk, act: Act) -> None:
    """Names what there is."""
    with pytest.raises(RefusedError, match=rf"no target first\.tes.*did you mean {FIRST}:80.*there are "):
        act("eject", "first.tes")
    with pytest.raises(RefusedError, match=rf"no endpoint 10\.0\.0\.9:1 of {FIRST}; there are 127\.0\.0\.1:"):
        act("fault", f"{FIRST}@10.0.0.9:1", "reset")
    assert desk.ask() == (200, FIRST)


def test_the_status_shows_it(desk: Desk) -> None:
    """To whoever looks, without a key."""
    desk.api("eject", FIRST)
    desk.api("pin", FIRST, SECOND)
    shown = [desk.command("status"), desk.shell("status"), desk.cli("status", "-o", "json")]
    desk.api("clear", "all")

    for text in shown:
        assert "ejected by hand" in text
        assert re.search(rf"pinned +{FIRST} to {SECOND}:80", text) or f'"target": "{SECOND}:80"' in text
        assert KEY.value not in text
    assert json.loads(shown[2])["pins"] == [{"host": FIRST, "target": f"{SECOND}:80"}]


def test_what_was_captured_can_be_replayed(desk: Desk) -> None:
    """A failure's answer, from the flow that shows it; and the flow can be explained."""
    file = desk.folder / "captured.json"
    desk.api("fault", FIRST, "status", "429", "--header", "Retry-After:7", "--body", "busy", "--count", "1")
    assert desk.ask() == (429, "busy")

    desk.type(f"llm.export {file}")
    explained = desk.type("llm.explain")
    assert explained.startswith(("Then: failed, 429", "Then: answered, 429"))
    assert f"POST {URL}" in explained
    assert f"target   {FIRST}:80" in explained
    exported = json.loads(file.read_text(encoding="utf-8"))
    assert (exported["place"], exported["status"], exported["headers"]["retry-after"]) == (
        f"{FIRST}:80",
        429,
        "7",
    )
    desk.shell("fault", "-f", str(file), "--count", "1")
    answer = desk.client.post(URL, content=QUESTION, headers=JSON)
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (429, "busy", "7")
    assert desk.ask() == (200, FIRST)
    assert KEY.value not in json.dumps(exported) + explained + desk.proxy.log
