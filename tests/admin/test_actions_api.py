"""What can be done through the admin API, and who may do it."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from llm_fallback.admin import application
from llm_fallback.admin.actions import MAX_BODY_BYTES
from tests.admin.serving import HOST, TOKEN, Done, Got, ask, example

JSON = {"Content-Type": "application/json"}
WITH_TOKEN = {**JSON, "Authorization": f"Bearer {TOKEN}"}
FROM_THE_PAGE = {**JSON, "Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"}


def post(name: str, body: Any, headers: dict[str, str] = WITH_TOKEN, **more: Any) -> tuple[Got, Done]:
    """One action, and what was done of it."""
    done = more.pop("done", None) or Done()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    shown = example(actions=done, **more.pop("changes", {}))
    got = ask(f"/api/actions/{name}", method="POST", headers=headers, body=content, shown=shown, **more)
    return got, done


@pytest.mark.parametrize(
    ("name", "body", "call"),
    [
        ("eject", {"place": "a.com:80", "for_s": 30}, ("eject", "a.com:80", 30)),
        ("eject", {"place": "a.com:80", "for_s": None}, ("eject", "a.com:80", None)),
        ("eject", {"place": "a.com:80"}, ("eject", "a.com:80", None)),
        ("return", {"place": "all"}, ("put_back", "all")),
        ("pin", {"host": "a.com", "target": "b.com:80"}, ("pin", "a.com", "b.com:80")),
        ("fault", {"place": "a.com", "fault": {"kind": "reset"}}, ("fault", "a.com", {"kind": "reset"})),
        ("clear", {"what": "all"}, ("clear", "all")),
        ("reload", {}, ("reload",)),
    ],
)
@pytest.mark.parametrize("headers", [WITH_TOKEN, FROM_THE_PAGE])
def test_an_action(name: str, body: Any, call: tuple[Any, ...], headers: dict[str, str]) -> None:
    """From another program with the token, or from the page itself: done once, and told in a sentence."""
    got, done = post(name, body, headers)

    assert (got.status, got.json) == (200, {"message": f"did {call[0]}"})
    assert done.calls == [call]


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("eject", {}, "place is missing"),
        ("eject", {"place": None}, "place is missing"),
        ("eject", {"place": 3}, "place has to be a text"),
        ("eject", {"place": "a", "for_s": "30s"}, "for_s has to be a number of seconds"),
        ("eject", {"place": "a", "for_s": True}, "for_s has to be a number of seconds"),
        ("eject", b'{"place": "a", "for_s": NaN}', "for_s has to be a number of seconds"),
        ("eject", b'{"place": "a", "for_s": 1e999}', "for_s has to be a number of seconds"),
        ("eject", {"place": "a", "for_s": 10**400}, "for_s has to be a number of seconds"),
        (
            "eject",
            {"place": "a", "for": 30},
            "'for' is no field of this action, which takes place, for_s",
        ),
        ("reload", {"now": True}, "'now' is no field of this action, which takes none"),
        ("fault", {"place": "a", "fault": "reset"}, "fault has to be an object"),
        ("pin", {"host": "a"}, "target is missing"),
        ("pin", [], "the body has to be a JSON object"),
        ("pin", b"", "the body is not JSON"),
        ("pin", b"{", "the body is not JSON"),
        ("pin", b"\xff", "the body is not JSON"),
        ("pin", b"[" * 100_000, "the body is not JSON"),
    ],
)
def test_a_body_that_is_none(name: str, body: Any, error: str) -> None:
    """One sentence says what is wrong, and nothing is done."""
    got, done = post(name, body)
    assert (got.status, got.json) == (400, {"error": error})
    assert done.calls == []


def test_what_the_action_itself_refuses() -> None:
    got, _ = post("eject", {"place": "x.com"}, done=Done(problem="no host x.com"))
    assert (got.status, got.json) == (400, {"error": "no host x.com"})


def test_a_body_without_end() -> None:
    got, done = post("eject", {"place": "a" * MAX_BODY_BYTES})
    assert (got.status, done.calls) == (413, [])
    assert got.json == {"error": f"the body is larger than {MAX_BODY_BYTES} bytes"}


def test_no_such_action() -> None:
    got, _ = post("explode", {})
    assert (got.status, got.json) == (
        404,
        {"error": "no such action; there are eject, return, pin, fault, clear, reload"},
    )
    got = ask("/api/actions/eject", method="POST", headers=WITH_TOKEN, shown=example(actions=None))
    assert (got.status, got.json) == (404, {"error": "no such action; there are none"})


def test_an_action_is_no_page() -> None:
    got = ask("/api/actions/eject", headers=WITH_TOKEN)
    assert (got.status, got.headers["Allow"]) == (405, "POST")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(JSON, id="no proof"),
        pytest.param({**JSON, "Authorization": "Bearer wrong"}, id="another token"),
        pytest.param({**JSON, "Authorization": "Bearer "}, id="an empty token"),
        pytest.param({**JSON, "Authorization": f"Basic {TOKEN}"}, id="another scheme"),
        pytest.param({**JSON, "Authorization": TOKEN}, id="no scheme"),
        pytest.param({**JSON, "Authorization": "Bearer t\u00f6ken"}, id="not ASCII"),
        pytest.param({"Authorization": f"Bearer {TOKEN}"}, id="token without a media type"),
        pytest.param({**FORM, "Authorization": f"Bearer {TOKEN}"}, id="token with a form"),
        pytest.param({**FROM_THE_PAGE, **FORM}, id="a form of the page's own"),
        pytest.param({**FROM_THE_PAGE, **PLAIN}, id="what needs no preflight"),
        pytest.param({**FROM_THE_PAGE, "Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({**FROM_THE_PAGE, "Sec-Fetch-Site": "none"}, id="typed by a person"),
        pytest.param(
            {**FROM_THE_PAGE, "Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
            id="another port of this machine",
        ),
        pytest.param({**FROM_THE_PAGE, "Origin": "http://127.0.0.1:3000"}, id="another port, if it lied"),
        pytest.param({**FROM_THE_PAGE, "Origin": "http://localhost:9901"}, id="another name of this machine"),
        pytest.param({**FROM_THE_PAGE, "Origin": f"https://{HOST}"}, id="another scheme of the origin"),
        pytest.param({**FROM_THE_PAGE, "Origin": "null"}, id="a sandboxed page"),
        pytest.param(
            {**FROM_THE_PAGE, "Origin": f"http://{HOST}.evil.com"}, id="an origin that begins alike"
        ),
        pytest.param({**JSON, "Origin": f"http://{HOST}"}, id="an old browser"),
        pytest.param({**JSON, "Sec-Fetch-Site": "same-origin"}, id="without an origin"),
    ],
)
def test_who_may_do_nothing(headers: dict[str, str]) -> None:
    """Whoever can prove neither that it knows the token nor that it is the page."""
    got, done = post("eject", {"place": "a.com"}, headers)

    assert got.status == 403
    assert got.json["error"].startswith("not allowed: ")
    assert TOKEN not in got.text
    assert done.calls == []


def test_a_name_that_is_made_to_lead_here() -> None:
    """The page of that name has its own origin for itself, but not this machine's name."""
    evil = "rebound.example.com:9901"
    headers = {**FROM_THE_PAGE, "Origin": f"http://{evil}"}
    got, done = post("eject", {"place": "a.com"}, headers, host=evil)
    assert (got.status, done.calls) == (403, [])


def test_a_preflight_is_not_answered() -> None:
    """So no foreign page can send JSON."""
    headers = {
        "Origin": "http://evil.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    got = ask("/api/actions/eject", method="OPTIONS", headers=headers)
    assert got.status == 405
    assert not [name for name in got.headers if name.lower().startswith("access-control")]


def test_a_token_that_is_no_text() -> None:
    """Bytes that are no UTF-8 are refused as any other."""

    async def play() -> bytes:
        async with TestServer(application(example())) as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            lines = [b"POST /api/actions/reload HTTP/1.1", b"Host: " + HOST.encode(), b"Connection: close"]
            lines += [b"Content-Type: application/json", b"Authorization: Bearer t\xffken", b"", b""]
            writer.write(b"\r\n".join(lines))
            answer = await reader.read()
            writer.close()
            return answer

    assert b" 403 " in asyncio.run(play()).partition(b"\r\n")[0]


def test_without_a_token_nobody_knows_it() -> None:
    got, done = post("reload", {}, {**JSON, "Authorization": "Bearer "}, changes={"token": ""})
    assert (got.status, done.calls) == (403, [])
