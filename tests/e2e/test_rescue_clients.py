"""The official SDKs and curl, with no retries of their own, as people run them: one normal answer each."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import anthropic
import openai
import pytest

from tests.support import answers
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import TIMEOUT_S
from tests.support.mesh import Host
from tests.support.policies import policy, write_rescued
from tests.support.provider import (
    Behaviour,
    Provider,
    close_before_headers,
    hang,
    reset_before_headers,
    respond,
)
from tests.support.proxy import Proxy, Setting

LIMIT = "5s"
AT_ONCE = 8
QUESTION = "Who are you?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]
COMMON: dict[str, Behaviour] = {
    "503": respond(503, b'{"error":{"message":"down"}}'),
    "529": respond(529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
    "429": respond(429, b'{"error":{"message":"slow down"}}'),
    "close": close_before_headers,
    "reset": reset_before_headers,
    "hang": hang,
    "hang-after-200": answers.hang_after_200,
}
OPENAI = {**COMMON, "error-answer": answers.error_answer}
ANTHROPIC = {**COMMON, "error-answer": answers.message_error}


@pytest.fixture(scope="module", name="proxy")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """A host for each fault of each API, whose fallback has no fault."""
    with ExitStack() as stack:
        hosts = []
        good = {
            "openai": answers.good(),
            "anthropic": answers.serve(answers.message(), answers.message_events()),
        }
        for api, faults in (("openai", OPENAI), ("anthropic", ANTHROPIC)):
            fallback = f"{api}-good.test"
            path = None if api == "anthropic" else "/v1/chat/completions"
            for label, behaviour in {"good": good[api], **faults}.items():
                name = f"{api}-{label}.test"
                provider = Provider(behaviour, authority.issue(name))
                port = stack.enter_context(background.serving(provider)).port
                saved = None if label == "good" else fallback
                hosts.append(Host(name=name, port=port, path=path, model=None, fallback=saved))
        services = [host.name.partition(".")[0] for host in hosts if host.fallback]
        limits = dict.fromkeys(("responseHeaders", "firstToken", "stall"), LIMIT)
        folder = tmp_path_factory.mktemp("sdks")
        config = write_rescued(folder, hosts, policy(*services, limits=limits))
        yield stack.enter_context(Proxy(setting, config))


@pytest.fixture(scope="module", autouse=True)
def proxied(proxy: Proxy) -> Iterator[None]:
    """The environment of a program that is to use the proxy."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        yield


def through_openai(host: str, *, is_stream: bool) -> str:
    """What the openai SDK gets."""
    url = f"http://{host}/v1"
    with openai.OpenAI(base_url=url, api_key="the-clients", max_retries=0, timeout=TIMEOUT_S) as client:
        create = client.chat.completions.create
        if not is_stream:
            answer = create(model="any", messages=MESSAGES)
            return answer.choices[0].message.content or ""
        with create(model="any", messages=MESSAGES, stream=True) as stream:
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def through_anthropic(host: str, *, is_stream: bool) -> str:
    """What the anthropic SDK gets."""
    url = f"http://{host}"
    with anthropic.Anthropic(base_url=url, api_key="the-clients", max_retries=0, timeout=TIMEOUT_S) as client:
        if not is_stream:
            answer = client.messages.create(model="any", max_tokens=9, messages=MESSAGES)
            return "".join(block.text for block in answer.content if block.type == "text")
        with client.messages.stream(model="any", max_tokens=9, messages=MESSAGES) as stream:
            return stream.get_final_text()


def through_curl(host: str, *, is_stream: bool) -> str:
    """What curl gets, read as its user would."""
    body = json.dumps({"model": "any", "messages": MESSAGES, "stream": is_stream})
    url = f"http://{host}/v1/chat/completions"
    options = ["--disable", "--silent", "--show-error", "--fail-with-body", "--no-buffer"]
    said = subprocess.run(
        ["curl", *options, "--max-time", str(TIMEOUT_S), url, "--json", body],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    ).stdout
    if not is_stream:
        return str(json.loads(said)["choices"][0]["message"]["content"])
    assert said.endswith(answers.DONE)
    events = [
        json.loads(e.removeprefix(b"data: ")) for e in said.removesuffix(answers.DONE).split(b"\n\n") if e
    ]
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events)


CLIENTS: dict[str, tuple[Callable[..., str], dict[str, Behaviour]]] = {
    "openai": (through_openai, OPENAI),
    "anthropic": (through_anthropic, ANTHROPIC),
    "curl": (through_curl, OPENAI),
}


CASES = [
    (client, fault, is_stream)
    for client, (_, faults) in CLIENTS.items()
    for fault in faults
    for is_stream in (False, True)
]


def seen_by(client: str, fault: str, *, is_stream: bool) -> str:
    """What a client gets whose provider has the fault."""
    ask, _ = CLIENTS[client]
    api = "anthropic" if client == "anthropic" else "openai"
    return ask(f"{api}-{fault}.test", is_stream=is_stream)


@pytest.fixture(scope="module", name="seen")
def asked(proxied: None) -> Iterator[dict[tuple[str, str, bool], Future[str]]]:
    """What each client gets, several at a time: most of it is waiting for a limit."""
    del proxied
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {case: threads.submit(seen_by, *case[:2], is_stream=case[2]) for case in CASES}


@pytest.mark.parametrize(
    ("client", "fault", "is_stream"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}-{'sse' if case[2] else 'json'}") for case in CASES],
)
def test_a_client_sees_one_normal_answer(
    seen: dict[tuple[str, str, bool], Future[str]], client: str, fault: str, *, is_stream: bool
) -> None:
    """Whatever its provider does."""
    if client == "curl" and not shutil.which("curl"):
        pytest.skip("there is no curl on this machine")
    assert seen[client, fault, is_stream].result() == answers.CONTENT


def test_the_environment_leads_to_the_proxy(proxy: Proxy) -> None:
    """The positive control: the proxy has seen the SDKs' requests, and the rescued ones were rescued."""
    through_openai("openai-503.test", is_stream=False)
    through_anthropic("anthropic-503.test", is_stream=True)
    for api in ("openai", "anthropic"):
        proxy.wait_for_line(rf" {api}-503\.test .*: 503 in \d+ ms, then .*: 200 in ")
