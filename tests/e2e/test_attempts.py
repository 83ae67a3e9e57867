"""Attempts that came to nothing: flows of their own, which say what was sent and what came back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import answers
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, http_client
from tests.support.provider import Exchange
from tests.support.proxy import Proxy, Setting
from tests.support.rescued import FALLBACK, PRIMARY, STREAM, URL, WHOLE, Mesh, rescuing
from tests.support.saved import is_attempt, read_flows, read_requests
from tests.support.secret import Secret, leaks

KEY = Secret("the primary's key", "sk-attempt-0b5e55ed")
PLACEHOLDER = "[redacted]"


async def quote_the_key(exchange: Exchange) -> None:
    """An error inside a 200, which repeats the key that it was sent."""
    error = {"error": {"message": f"bad key {exchange.request.header('authorization')}"}}
    await answers.serve(json.dumps(error).encode(), (answers.event(error),))(exchange)


@pytest.fixture(name="setting")
def with_key(setting: Setting) -> Setting:
    """The key comes from a variable."""
    return replace(setting, environment={"KEY": KEY.value})


@pytest.mark.parametrize("body", [WHOLE, STREAM], ids=["json", "stream"])
def test_an_answer_that_was_none(
    body: bytes, background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """What the provider said is there, but for the key that it quoted."""
    saved = tmp_path / "flows.mitm"
    mesh = Mesh(primary=quote_the_key, keys={PRIMARY: "${KEY}"})
    with (
        rescuing(mesh, background, authority, setting, tmp_path, "-w", str(saved)) as targets,
        http_client(targets.proxy) as client,
    ):
        assert client.post(URL, content=body, headers=JSON).status_code == 200
        assert KEY.is_bearer_of(targets.primary.requests[0])

    (request,) = read_requests(saved)
    (attempt,) = filter(is_attempt, read_flows(saved))
    assert request.marked == ":ambulance:"
    assert request.metadata["llm_fallback"]["result"] == "rescued"
    assert attempt.request.pretty_host == PRIMARY
    assert attempt.response
    assert attempt.response.status_code == 200
    assert f"bad key Bearer {PLACEHOLDER}" in (attempt.response.get_text() or "")
    assert attempt.metadata["llm_fallback_attempt"]["of"] == request.id
    assert attempt.metadata["llm_fallback_attempt"]["lost_after_s"] > 0
    assert leaks({"flows.mitm": saved.read_bytes()}, [KEY]) == []


def test_a_key_that_the_answer_quotes(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """The client gets what the provider says; what is kept of it is without the key."""
    saved = tmp_path / "flows.mitm"
    mesh = Mesh(primary=quote_the_key, keys={PRIMARY: "${KEY}"}, spec={"rescue": {"failures": ["5xx"]}})
    with (
        rescuing(mesh, background, authority, setting, tmp_path, "-w", str(saved)) as targets,
        http_client(targets.proxy) as client,
    ):
        got = client.post(URL, content=WHOLE, headers=JSON)

    assert KEY.value in got.text
    (request,) = read_requests(saved)
    assert request.response
    assert PLACEHOLDER in (request.response.get_text() or "")
    assert leaks({"flows.mitm": saved.read_bytes()}, [KEY]) == []


def test_none_if_nobody_wants_them(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """The option llm_attempts; the comment still tells of them."""
    saved = tmp_path / "flows.mitm"
    options = ("-w", str(saved), "--set", "llm_attempts=false")
    mesh = Mesh(primary=quote_the_key)
    with (
        rescuing(mesh, background, authority, setting, tmp_path, *options) as targets,
        http_client(targets.proxy) as client,
    ):
        client.post(URL, content=WHOLE, headers=JSON)

    (flow,) = read_flows(saved)
    assert f"after {PRIMARY}:80: error-answer" in flow.comment


def test_in_a_har(background: Background, authority: Authority, setting: Setting, tmp_path: Path) -> None:
    """An entry each, for the tools that read such files."""
    har = tmp_path / "flows.har"
    mesh = Mesh(primary=quote_the_key)
    with (
        rescuing(mesh, background, authority, setting, tmp_path, "--set", f"hardump={har}") as targets,
        http_client(targets.proxy) as client,
    ):
        client.post(URL, content=WHOLE, headers=JSON)

    entries: list[dict[str, Any]] = json.loads(har.read_text())["log"]["entries"]
    hosts = sorted(entry["request"]["url"].split("/")[2].partition(":")[0] for entry in entries)
    assert hosts == sorted((FALLBACK, PRIMARY))


def test_they_are_not_replayed(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Of a saved outage only the client's requests are sent again."""
    saved, again = tmp_path / "flows.mitm", tmp_path / "again.mitm"
    with rescuing(
        Mesh(primary=quote_the_key), background, authority, setting, tmp_path, "-w", str(saved)
    ) as targets:
        with http_client(targets.proxy) as client:
            client.post(URL, content=WHOLE, headers=JSON)
        targets.proxy.stop()
        config = tmp_path / "mesh" / "mesh.yaml"
        with Proxy(setting, config, "-C", str(saved), "-w", str(again)) as proxy:
            assert proxy.wait() == 0  # by itself, when all that it was to send is answered and saved
        assert len(proxy.requests()) == 1
        assert " 409 " in proxy.log
        # A saved flow goes where it went.
        assert [len(targets.primary.requests), len(targets.fallback.requests)] == [1, 2]
    replayed = [flow for flow in read_flows(again) if flow.is_replay]
    assert sorted(flow.response.status_code for flow in replayed if flow.response) == [200, 409]
