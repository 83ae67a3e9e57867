"""What each target of a rescued request is sent, and what is said of the rescue; secrets stay at home."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.support import answers
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.mesh import PATH
from tests.support.provider import Request, respond
from tests.support.proxy import Setting
from tests.support.rescued import FALLBACK, PRIMARY, THIRD, URL, WHOLE, Mesh, Targets, rescuing
from tests.support.saved import read_flows
from tests.support.secret import Secret, inflated, leaks

PRIMARY_KEY = Secret("the primary's key", "sk-primary-5b0f7d2c91")
THIRD_KEY = Secret("the third's key", "sk-third-c07aa41e6f")
CLIENTS = {
    "Authorization": Secret("the client's Authorization", "client-bearer-31f8a0"),
    "x-api-key": Secret("the client's x-api-key", "client-x-api-key-88d1e2"),
    "api-key": Secret("the client's api-key", "client-api-key-4d07cb"),
    "Cookie": Secret("the client's cookie", "client-cookie-e19f53"),
    "OpenAI-Organization": Secret("the client's organisation", "org-client-7702bd"),
    "OpenAI-Project": Secret("the client's project", "proj-client-0be14a"),
    "X-Request-Id": Secret("the client's request id", "request-id-51c3f9"),
}
ANSWERED = Secret("the failing primary's cookie", "primary-session-f00d88")
ORGANISATION = Secret("the failing primary's organisation", "org-primary-1d9b60")
QUERY_KEY = Secret("the client's ?key=", "client-query-key-a6620d")
ALL = (PRIMARY_KEY, THIRD_KEY, *CLIENTS.values(), QUERY_KEY)
MARKER = "a marker in the question"
BODY = json.dumps({"model": "the-clients", "messages": [{"role": "user", "content": MARKER}], "n": 1})
MODELS = {PRIMARY: "model-one", FALLBACK: "model-two", THIRD: "model-three"}


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """One request that failed twice and was answered by the third: what everybody got, and what was saved."""

    first: Request
    second: Request
    third: Request
    answer: httpx.Response
    places: dict[str, bytes]


@pytest.fixture(scope="module", name="seen")
def played(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Seen:
    """Everything saved and logged; the fallback has no key of its own."""
    folder = tmp_path_factory.mktemp("rescued")
    setting = replace(setting, environment={"ONE": PRIMARY_KEY.value, "THREE": THIRD_KEY.value})
    left = (("set-cookie", f"session={ANSWERED.value}"), ("openai-organization", ORGANISATION.value))
    mesh = Mesh(
        primary=respond(503, b"down", left),
        fallback=respond(500, b"down, too", left),
        models=MODELS,
        keys={PRIMARY: "${ONE}", THIRD: "${THREE}"},
        streams={FALLBACK: False},
        spec={"chain": [{"host": THIRD}]},
    )
    saved = {"flows.mitm": folder / "flows.mitm", "out.har": folder / "out.har"}
    loud = ("--set", "termlog_verbosity=debug", "--set", "flow_detail=4")
    saving = ("-w", str(saved["flows.mitm"]), "--set", f"hardump={saved['out.har']}")
    headers = {name: secret.value for name, secret in CLIENTS.items()}
    headers["Authorization"] = f"Bearer {headers['Authorization']}"
    with rescuing(mesh, background, authority, setting, folder, *loud, *saving) as targets:
        with http_client(targets.proxy) as client:
            answer = client.post(f"{URL}?key={QUERY_KEY.value}", content=BODY, headers=headers)
        (first,), (second,), (third,) = (
            p.requests for p in (targets.primary, targets.fallback, targets.third)
        )
        targets.proxy.stop()
        places = {"the log": targets.proxy.log.encode()}
    places |= {name: file.read_bytes() for name, file in saved.items()}
    places["flows, parsed"] = repr([flow.get_state() for flow in read_flows(saved["flows.mitm"])]).encode()
    return Seen(first, second, third, answer, places)


def carried(request: Request) -> list[str]:
    """The secrets in a request."""
    everybodys = (*ALL, ANSWERED, ORGANISATION)
    return [secret.name for secret in everybodys if secret.occurs_in(request)]


@pytest.mark.parametrize("which", MODELS)
def test_each_target_gets_the_clients_request_as_its_own(seen: Seen, which: str) -> None:
    """Host, server name, path and model are the target's; all else is as the client sent it."""
    request = {PRIMARY: seen.first, FALLBACK: seen.second, THIRD: seen.third}[which]
    assert (request.method, request.path.partition("?")[0]) == ("POST", PATH)
    assert (request.header("host"), request.sni) == (which, which)
    stream = {"stream": False} if which == FALLBACK else {}
    assert request.json() == {**json.loads(BODY), "model": MODELS[which], **stream}
    assert request.header("content-length") == str(len(request.body))


def test_the_first_has_its_own_key(seen: Seen) -> None:
    """As without a policy: its key stands in for the client's Authorization."""
    assert PRIMARY_KEY.is_bearer_of(seen.first)


def test_a_fallback_without_a_key_gets_none(seen: Seen) -> None:
    """Neither the client's credentials, nor the primary's, nor what the primary's failure left."""
    assert carried(seen.second) == []
    assert seen.second.header("authorization") is None


def test_the_third_has_its_own_key_and_nothing_else(seen: Seen) -> None:
    """However many have failed before it."""
    assert THIRD_KEY.is_bearer_of(seen.third)
    assert carried(seen.third) == [THIRD_KEY.name]


def test_the_answer_is_the_thirds(seen: Seen) -> None:
    """Nothing of the failures' headers is in it; marks say who served, and why."""
    assert (seen.answer.status_code, seen.answer.content) == (200, answers.whole("The third says so."))
    assert "set-cookie" not in seen.answer.headers
    assert "openai-organization" not in seen.answer.headers
    marks = {n: v for n, v in seen.answer.headers.items() if n.startswith("x-llm-fallback-")}
    assert marks == {
        "x-llm-fallback-host": THIRD,
        "x-llm-fallback-model": "model-three",
        "x-llm-fallback-attempts": "3",
        "x-llm-fallback-reason": f"{PRIMARY}:80: 503; {FALLBACK}:80: 500",
    }


def test_nothing_is_found_of_a_secret(seen: Seen) -> None:
    """Not in flows, HAR or the log, nor compressed inside of them; the client's header names are there."""
    places = {**seen.places, **{f"{n}, inflated": inflated(c) for n, c in seen.places.items()}}
    harmless = ("OpenAI-Organization", "OpenAI-Project", "X-Request-Id")  # no credentials
    secrets = [secret for secret in ALL if secret not in [CLIENTS[name] for name in harmless]]
    assert leaks(places, secrets) == []
    assert MARKER.encode() in seen.places["flows.mitm"]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("x-llm-fallback-", {"attempts", "host", "model", "reason"}),
        ("x-saved-", {"attempts", "host", "model", "reason"}),
        ("", set()),
    ],
)
def test_the_marks_have_one_prefix_or_are_off(
    prefix: str,
    expected: set[str],
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path: Path,
) -> None:
    """An unprefixed answer is the provider's alone."""
    mesh = Mesh(primary=respond(503, b"down"), spec={"headers": {"prefix": prefix}})
    with (
        rescuing(mesh, background, authority, setting, tmp_path) as targets,
        http_client(targets.proxy) as client,
    ):
        answer = client.post(URL, content=WHOLE)
    assert answer.status_code == 200
    named = re.compile(rf"{prefix or '.*-'}(attempts|host|model|reason)")
    assert {found[1] for name in answer.headers if (found := named.fullmatch(name))} == expected


@pytest.fixture(scope="module", name="small")
def bounded(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Targets]:
    """A policy that keeps requests of a hundred bytes."""
    mesh = Mesh(primary=respond(503, b"down"), spec={"maxRequestBytes": 100})
    with rescuing(mesh, background, authority, setting, tmp_path_factory.mktemp("small")) as targets:
        yield targets


@pytest.mark.parametrize(("size", "is_rescued"), [(100, True), (101, False)])
def test_a_request_over_the_limit_is_sent_and_not_rescued(
    small: Targets, size: int, *, is_rescued: bool
) -> None:
    """It reaches the primary whole; its failure is the client's, with the reason why."""
    body = WHOLE[:-1] + b" " * (size - len(WHOLE)) + b"}"
    asked = len(small.fallback.requests)
    with http_client(small.proxy) as client:
        answer = client.post(URL, content=body)
    assert len(small.primary.requests[-1].body) >= size
    assert len(small.fallback.requests) - asked == is_rescued
    assert answer.status_code == (200 if is_rescued else 503)
    if not is_rescued:
        assert answer.content == b"down"
        small.proxy.wait_for_line(r"too large to be rescued")
