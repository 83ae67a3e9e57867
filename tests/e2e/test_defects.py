"""Defects of our own: the client gets an end, nobody else its request, and the log quotes nothing of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting

HOST = "localhost"  # so that a request which slips through to it would arrive
CONTROL = "control.invalid"
MARKER = "sk-of-the-client"
ANSWER = b"the provider"
FAILED = b"llm-fallback failed to handle this request; its log says why"
CUT = 0
BREAKER = '''
"""Makes one function at a time fail, once, with the client's credential in its message."""

import importlib

from mitmproxy import http

armed = set()


def break_at(place):
    module, _, path = place.partition(":")
    owner = importlib.import_module(f"llm_fallback.{module}")
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real = getattr(owner, name)

    def function(*args, **kwargs):
        if place in armed:
            armed.discard(place)
            raise RuntimeError("-".join(("sk", "of", "the", "client")))  # so that no source line holds it
        return real(*args, **kwargs)

    setattr(owner, name, function)


known = set()


def request(flow):
    if flow.request.host == "control.invalid":
        place = flow.request.query["place"]
        if place not in known:
            known.add(place)
            break_at(place)
        armed.clear()
        armed.add(place)
        flow.response = http.Response.make(204)
'''


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy whose addon can be broken, a provider, and what listens where the client believes the host."""

    proxy: Proxy
    provider: Provider
    original: Provider

    @property
    def url(self) -> str:
        """The managed host, with the port of a server that is not to hear from us."""
        return f"http://{HOST}:{self.original.port}/"

    def ask(self, client: httpx.Client) -> httpx.Response:
        """The answer to a request with a credential."""
        headers = {**JSON, "Authorization": f"Bearer {MARKER}", "X-Api-Key": MARKER}
        return client.post(f"{self.url}?key={MARKER}", content=QUESTION, headers=headers)

    def break_at(self, place: str) -> None:
        """Have the function there fail at its next call."""
        with http_client(self.proxy) as client:
            assert client.get(f"http://{CONTROL}/", params={"place": place}).status_code == 204


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    provider = Provider(respond(200, ANSWER), authority.issue(HOST))
    original = Provider(respond(200, b"the original host"))
    folder = tmp_path_factory.mktemp("defects")
    script = folder / "breaker.py"
    script.write_text(BREAKER, encoding="utf-8")
    with ExitStack() as stack:
        stack.enter_context(background.serving(provider))
        stack.enter_context(background.serving(original))
        config = write_mesh(folder, Host(name=HOST, port=provider.port, threshold=3))
        proxy = stack.enter_context(Proxy(setting, config, "-s", str(script)))
        yield Stage(proxy, provider, original)


BEFORE_THE_ANSWER = [
    "mitm.addon:flows.managed_host",
    "mitm.addon:flows.hold_credentials",
    "mitm.carriage:flows.original",
    "mitm.carriage:flows.show_request",
    "upstream.exchange:find_route",
    "upstream.exchange:is_well_formed",
    "upstream.attempts:choose_endpoint",
    "upstream.dispatch:rewrite",
    "upstream.client:_with_key",
]
AFTER_IT = ["health:Health.record", "upstream.answers:end_to_end"]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("place", [*BEFORE_THE_ANSWER, *AFTER_IT])
def test_before_the_answer(stage: Stage, place: str, *, http2: bool) -> None:
    """A 500 that says where to look, on a connection that goes on."""
    seen, lines = len(stage.provider.requests), len(stage.proxy.lines)
    stage.break_at(place)
    url = f"https://{HOST}:{stage.original.port}/" if http2 else stage.url
    headers = {**JSON, "Authorization": f"Bearer {MARKER}"}
    with http_client(stage.proxy, http2=http2) as client:
        broken = client.post(url, content=QUESTION, headers=headers)
        after = client.post(url, content=QUESTION, headers=headers)

    assert (broken.status_code, broken.content) == (500, FAILED)
    assert (after.status_code, after.content) == (200, ANSWER)
    assert len(stage.provider.requests) - seen == (2 if place in AFTER_IT else 1)
    assert_told_without_quoting(stage, lines)


@pytest.mark.parametrize(
    ("place", "statuses"),
    [
        pytest.param("mitm.addon:LLMFallback.carrier", (500, 502), id="who-carries-it"),
        pytest.param("mitm.carriage:flows.response_of", (500, 502), id="its-head"),
        pytest.param("mitm.kept_answer:packed_bodies.without", (200,), id="what-is-shown-of-it"),
        pytest.param("mitm.carriage:story.comment", (200,), id="its-end"),
        pytest.param("upstream.exchange:figures_of", (200,), id="its-figures"),
        pytest.param("metrics.counting:Metrics.take", (200,), id="who-counts-it"),
        pytest.param("history:History.take", (200,), id="who-remembers-it"),
    ],
)
def test_at_the_edges_of_the_answer(stage: Stage, place: str, statuses: tuple[int, ...]) -> None:
    """An error where it has not begun; what is only told of it harms nobody."""
    lines = len(stage.proxy.lines)
    stage.break_at(place)
    with http_client(stage.proxy) as client:
        try:
            status = stage.ask(client).status_code
        except httpx.RemoteProtocolError:
            status = CUT
    with http_client(stage.proxy) as client:
        after = stage.ask(client)

    assert status in statuses
    assert (after.status_code, after.content) == (200, ANSWER)
    assert_told_without_quoting(stage, lines)


def assert_told_without_quoting(stage: Stage, since: int) -> None:
    """One line with kind and place of the defect; the message, which quotes a credential, is nowhere."""
    told = [line for line in stage.proxy.lines[since:] if "while handling a request" in line]
    assert [line.rpartition("] ")[2] for line in told] == ["RuntimeError while handling a request"]
    assert MARKER not in stage.proxy.log
    assert not stage.original.connections
    assert f"ejected {HOST}" not in stage.proxy.log
