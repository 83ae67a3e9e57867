"""ASM's tutorial, with its own YAML: two requests, two answers, and the primary's return."""

import json
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from standin import Answers, StandIn
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import (
    JSON,
    QUESTION,
    Answer,
    ask,
    connect,
    http_client,
    read_to_end,
    request_bytes,
)
from tests.support.mesh import PATH, Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting
from tests.support.secret import Secret

PRIMARY, FALLBACK = "asm-llm-provider-test.com", "dashscope.aliyuncs.com"
URL = f"http://{PRIMARY}"
FALLBACK_MODEL = "qwen1.5-72b-chat"
KEY = Secret("the fallback's key", "sk-fallback-4d1c9a7e55b0")
PRIMARY_KEY = Secret("the primary's key", "test-api-key")
NO_HEALTHY_UPSTREAM = re.compile(
    rb"HTTP/1\.1 503 Service Unavailable\r\n"
    rb"content-length: 19\r\n"
    rb"content-type: text/plain\r\n"
    rb"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"
    rb"server: envoy\r\n"
    rb"(connection: close\r\n)?"
    rb"\r\n"
    rb"no healthy upstream"
)


@pytest.fixture(name="setting")
def with_key(setting: Setting) -> Setting:
    """The tutorial's environment, and its way to start the proxy."""
    return replace(setting.from_scratch(), environment={"dashscopeAPI_KEY": KEY.value})


def overlay(folder: Path, **ports: int | None) -> str:
    """The tutorial's configuration, with ServiceEntries that lead hosts to ports of this machine."""
    names = {"primary": PRIMARY, "fallback": FALLBACK}
    hosts = [Host(name=names[who], port=port) for who, port in ports.items()]
    entries = [d for host in hosts for d in host.documents() if d["kind"] == "ServiceEntry"]
    file = folder / "overlay.yaml"
    file.write_text(yaml.safe_dump_all(entries), encoding="utf-8")
    return f"config,{file}"


def is_no_healthy_upstream(answer: Answer) -> bool:
    """Whether this is Envoy's answer for want of a healthy endpoint."""
    kind, length = answer.headers.get("content-type"), answer.headers.get("content-length")
    return (answer.status, kind, length, answer.body) == (503, "text/plain", "19", b"no healthy upstream")


def model_of(answer: Answer) -> str:
    """The model that a completion names."""
    assert answer.status == 200, answer
    completion = json.loads(answer.body)
    assert completion["object"] == "chat.completion"
    return str(completion["model"])


def test_the_tutorial(background: Background, authority: Authority, setting: Setting, tmp_path: Path) -> None:
    """The first request finds nobody healthy, the second gets the fallback; later the primary is back."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        fallback = StandIn(Answers(key=KEY.value), tls=authority.issue(FALLBACK))
        with background.serving(fallback):
            config = overlay(tmp_path, primary=reserved.getsockname()[1], fallback=fallback.port)
            with Proxy(setting, config) as proxy:
                assert is_no_healthy_upstream(ask(proxy, URL))
                assert not fallback.seen

                assert model_of(ask(proxy, URL)) == FALLBACK_MODEL
                saw_the_tutorials_request(fallback)

                primary = StandIn(Answers(key=PRIMARY_KEY.value), tls=authority.issue(PRIMARY), sock=reserved)
                with background.serving(primary):
                    proxy.wait_for_line(f"returned {PRIMARY}:80")
                    assert_has_been_away(proxy)
                    assert model_of(ask(proxy, URL)) == "test-model"
                    assert PRIMARY_KEY.is_bearer_of(primary.seen[0])
                    # The tutorial's SNI is not the provider's name; the certificate is checked all the same.
                    assert (primary.seen[0].host, primary.seen[0].sni) == (PRIMARY, "asm-llm-provider-test")
                assert len(fallback.seen) == 1


def saw_the_tutorials_request(fallback: StandIn) -> None:
    """The fallback provider got a request that is its own in every respect."""
    assert len(fallback.seen) == 1
    seen = fallback.seen[0]
    assert (seen.method, seen.host, seen.sni, seen.path, seen.query) == ("POST", FALLBACK, FALLBACK, PATH, "")
    assert KEY.is_bearer_of(seen)
    assert json.loads(seen.body) == {**json.loads(QUESTION), "model": FALLBACK_MODEL, "stream": False}


def assert_has_been_away(proxy: Proxy) -> None:
    """The ejection took the 10 s of the tutorial and less than a second one would, which takes 20 s."""
    away = re.search(r"after ([\d.]+) s", proxy.wait_for_line("returned "))
    assert away
    assert 10.0 <= float(away[1]) < 20.0


def test_the_first_answer_is_envoys_byte_for_byte(setting: Setting, tmp_path: Path) -> None:
    """Status line, headers in their order, and a body without a newline."""
    with Proxy(setting, overlay(tmp_path, fallback=1)) as proxy, connect(proxy.port) as sock:
        sock.sendall(request_bytes(f"{URL}/", PRIMARY, QUESTION.encode(), "Connection: close"))
        answer = read_to_end(sock)
    assert NO_HEALTHY_UPSTREAM.fullmatch(answer), answer


def test_a_primary_whose_name_does_not_resolve(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Without a ServiceEntry it is one logical endpoint: the transcript is the tutorial's."""
    fallback = StandIn(tls=authority.issue("fallback.test"))
    with background.serving(fallback):
        config = write_mesh(
            tmp_path,
            Host(name="primary.invalid", threshold=1, fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port, model="the-fallback"),
        )
        with Proxy(setting, config) as proxy:
            assert is_no_healthy_upstream(ask(proxy, "http://primary.invalid"))
            assert model_of(ask(proxy, "http://primary.invalid")) == "the-fallback"


@pytest.mark.parametrize("status", [500, 503])
def test_a_primary_that_answers_an_error(
    status: int, background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Its answer is passed on as it is, and counts: the next request goes to the fallback."""
    body = b'{"error": "busy"}\n'
    primary = Provider(respond(status, body, (("X-Request-Id", "7"),)), authority.issue(PRIMARY))
    fallback = StandIn(tls=authority.issue(FALLBACK))
    with background.serving(primary), background.serving(fallback):
        config = overlay(tmp_path, primary=primary.port, fallback=fallback.port)
        with Proxy(setting, config) as proxy:
            answer = ask(proxy, URL)
            assert (answer.status, answer.body, answer.headers["x-request-id"]) == (status, body, "7")
            assert model_of(ask(proxy, URL)) == FALLBACK_MODEL
    assert len(primary.requests) == 1


def test_below_the_threshold_the_primary_stays(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """With consecutive5xxErrors: 3, three errors in a row are needed, and a success starts the count anew."""
    primary = Provider(respond(500, b"down"), authority.issue("primary.test"))
    fallback = StandIn(tls=authority.issue("fallback.test"))
    with background.serving(primary), background.serving(fallback):
        config = write_mesh(
            tmp_path,
            Host(name="primary.test", port=primary.port, threshold=3, fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port, model="the-fallback"),
        )
        with Proxy(setting, config) as proxy, http_client(proxy) as client:

            def status() -> int:
                return client.post("http://primary.test", content=QUESTION, headers=JSON).status_code

            assert [status(), status()] == [500, 500]
            primary.behaviour = respond(200)
            assert status() == 200
            primary.behaviour = respond(500, b"down")
            assert [status(), status(), status()] == [500, 500, 500]
            assert not fallback.seen
            assert status() == 200
            assert len(fallback.seen) == 1
