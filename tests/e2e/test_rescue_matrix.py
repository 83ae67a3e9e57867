"""Every fault in every shape, with two and three targets: the client sees success wherever any can serve."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum

import httpx
import pytest

from tests.support import answers
from tests.support.background import Background, seconds
from tests.support.certificates import Authority
from tests.support.clients import assert_http2, client_context
from tests.support.mesh import Host
from tests.support.policies import policy, with_connect_timeout, write_documents
from tests.support.provider import (
    Behaviour,
    Provider,
    close_before_headers,
    garbage,
    hang,
    reset_before_headers,
    respond,
)
from tests.support.proxy import Proxy, Setting
from tests.support.unreachable import full_backlog

DOMAIN = "matrix.test"
GOOD = f"good.{DOMAIN}"
DEADLINE_S = 30.0
LIMIT_S = 3.0
CONNECT_MS = 500
CONNECT_HANG = "connect-hang"
AT_ONCE = 24
BODY = {True: b'{"messages":[{"role":"user","content":"hi"}],"stream":true}', False: b'{"messages":[]}'}
CONNECT_FAILURE = b"upstream connect error or disconnect/reset before headers. reset reason: "
NO_ANSWER = b"upstream answer is no answer: "


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and what the client gets if no target is without it: this status, and this in its body.

    `behaviour` None: there is nobody.
    """

    behaviour: Behaviour | None
    status: int
    body: bytes
    holds_all: bool = False
    is_silent: bool = False


FAULTS = {
    "dns": Fault(None, 503, CONNECT_FAILURE),
    "refused": Fault(None, 503, CONNECT_FAILURE),
    CONNECT_HANG: Fault(None, 503, CONNECT_FAILURE),
    "tls-name": Fault(answers.good(), 503, CONNECT_FAILURE),
    "tls-expired": Fault(answers.good(), 503, CONNECT_FAILURE),
    "500": Fault(respond(500, b"five"), 500, b"five"),
    "503": Fault(respond(503, b"unavailable"), 503, b"unavailable"),
    "529": Fault(respond(529, b"overloaded"), 529, b"overloaded"),
    "429": Fault(respond(429, b"slow down"), 429, b"slow down"),
    "429-retry-after": Fault(respond(429, b"in a minute", (("retry-after", "60"),)), 429, b"in a minute"),
    "close": Fault(close_before_headers, 503, CONNECT_FAILURE),
    "reset": Fault(reset_before_headers, 503, CONNECT_FAILURE),
    "garbage": Fault(garbage, 502, CONNECT_FAILURE),
    "hang": Fault(hang, 504, b"upstream request timeout", is_silent=True),
    "hang-after-200": Fault(answers.hang_after_200, 504, b"upstream request timeout", is_silent=True),
    "keep-alive-only": Fault(answers.only_keep_alive, 504, b"upstream request timeout", is_silent=True),
    "nonsense": Fault(answers.nonsense, 503, CONNECT_FAILURE),
    "error-answer": Fault(answers.error_answer, 502, b'"overloaded"'),
    "empty-answer": Fault(answers.empty_answer, 502, NO_ANSWER + b"empty-answer"),
    "invalid-answer": Fault(answers.invalid_answer, 502, NO_ANSWER + b"invalid-answer"),
    "cut-tool-call": Fault(answers.cut_tool_call, 503, CONNECT_FAILURE, holds_all=True),
    "broken-tool-call": Fault(answers.broken_tool_call, 503, CONNECT_FAILURE, holds_all=True),
}


class Failing(StrEnum):
    """Whose fault it is."""

    PRIMARY = "primary"
    BOTH = "both"
    BOTH_OF_THREE = "three"


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix."""

    fault: str
    is_stream: bool
    http2: bool
    failing: Failing

    def __str__(self) -> str:
        shape = f"{'sse' if self.is_stream else 'json'}-{'h2' if self.http2 else 'h1'}"
        return f"{self.fault}-{shape}-{self.failing}"

    @property
    def host(self) -> str:
        """The host that the client asks for."""
        return self._host("p")

    @property
    def fallback(self) -> str:
        """The host of the fallback."""
        return GOOD if self.failing is Failing.PRIMARY else self._host("f")

    def _host(self, which: str) -> str:
        # No resolver knows `.invalid` names.
        return f"{which}-{self}.invalid" if self.fault == "dns" else f"{which}-{self}.{DOMAIN}"


CASES = [Case(*cell) for cell in itertools.product(FAULTS, (False, True), (False, True), Failing)]


@dataclass(frozen=True, slots=True)
class Got:
    """What the client of a case has seen; `status` and `body` as far as they came."""

    status: int
    body: bytes
    headers: httpx.Headers
    is_broken: bool
    seconds: float


def hosts(ports: dict[str, int | None], good: int) -> Iterator[Host]:
    """The hosts of all cases."""
    yield Host(name=GOOD, port=good, path="/v1/chat/completions")
    for case in CASES:
        port = ports[case.fault]
        yield Host(name=case.host, port=port, threshold=1, fallback=case.fallback)
        if case.failing is not Failing.PRIMARY:
            yield Host(name=case.fallback, port=port, threshold=1)


def policies() -> Iterator[dict[str, object]]:
    """A policy for each kind of fault, with and without a chain; only who is to run into a limit has one."""
    failures = ["connect-failure", "reset", "5xx", "429", "response-timeout", "first-token-timeout"]
    failures += ["error-answer", "empty-answer", "invalid-answer", "cut-answer"]
    limits = dict.fromkeys(("responseHeaders", "firstToken", "stall"), f"{LIMIT_S:g}s")
    kinds = [(False, False), (False, True), (True, False)]
    for (holds_all, is_silent), chained in itertools.product(kinds, (False, True)):
        names = [
            case.host.partition(".")[0]
            for case in CASES
            if (FAULTS[case.fault].holds_all, FAULTS[case.fault].is_silent) == (holds_all, is_silent)
            and (case.failing is Failing.BOTH_OF_THREE) is chained
        ]
        yield policy(
            *names,
            name=f"rescue-{holds_all}-{is_silent}-{chained}".lower(),
            rescue={"failures": failures, "deadline": f"{DEADLINE_S:g}s"},
            limits=limits if is_silent else {},
            hold="WholeAnswer" if holds_all else "FirstContent",
            chain=[{"host": GOOD}] if chained else [],
        )


async def play(proxy: Proxy) -> dict[Case, Got]:
    """The answers to all cases, many at once."""
    room = asyncio.Semaphore(AT_ONCE)
    async with client(proxy, http2=False) as first, client(proxy, http2=True) as second:

        async def ask(case: Case) -> Got:
            async with room:
                return await one(second if case.http2 else first, case)

        answered = await asyncio.gather(*map(ask, CASES))
    return dict(zip(CASES, answered, strict=True))


def client(proxy: Proxy, *, http2: bool) -> httpx.AsyncClient:
    """A client that speaks nothing but one of the two."""

    async def check(response: httpx.Response) -> None:
        assert_http2(response)

    return httpx.AsyncClient(
        proxy=proxy.url,
        http2=http2,
        verify=client_context(proxy, http2=http2),
        timeout=2 * DEADLINE_S,
        trust_env=False,
        limits=httpx.Limits(max_connections=None),
        event_hooks={"response": [check] if http2 else []},
    )


async def one(client: httpx.AsyncClient, case: Case) -> Got:
    """The answer to one case, as far as it comes."""
    url = f"{'https' if case.http2 else 'http'}://{case.host}/v1/chat/completions"
    body = b""
    is_broken = False
    began = seconds()
    async with client.stream("POST", url, content=BODY[case.is_stream]) as response:
        try:
            async for piece in response.aiter_raw():
                body += piece
        except httpx.RemoteProtocolError:
            is_broken = True
    return Got(response.status_code, body, response.headers, is_broken, seconds() - began)


@pytest.fixture(scope="module", name="got")
def played(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[Case, Got]:
    """All cases, played behind one proxy."""
    right = f"*.{DOMAIN}"
    certificates = {
        "tls-name": authority.issue("somebody-else.test"),
        "tls-expired": authority.issue_expired(right),
    }
    with ExitStack() as stack:
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        ports: dict[str, int | None] = {
            "dns": None,
            "refused": nobody.getsockname()[1],
            CONNECT_HANG: full_backlog(stack).getsockname()[1],
        }
        for label, fault in FAULTS.items():
            if fault.behaviour:
                provider = Provider(fault.behaviour, certificates.get(label) or authority.issue(right))
                ports[label] = stack.enter_context(background.serving(provider)).port
        good = stack.enter_context(background.serving(Provider(answers.good(), authority.issue(right))))
        documents = [d for host in hosts(ports, good.port) for d in host.documents()]
        for document in documents:
            if CONNECT_HANG in document["spec"].get("host", ""):
                with_connect_timeout(document, CONNECT_MS)
        folder = tmp_path_factory.mktemp("matrix")
        config = write_documents(folder, [*documents, *policies()])
        return asyncio.run(play(stack.enter_context(Proxy(setting, config))))


@pytest.mark.parametrize("case", [c for c in CASES if c.failing is not Failing.BOTH], ids=str)
def test_who_can_serve_does(got: dict[Case, Got], case: Case) -> None:
    """The answer is the good target's to the last byte, and its headers are."""
    answer = got[case]
    expected = b"".join(answers.events()) if case.is_stream else answers.whole()
    assert (answer.status, answer.body, answer.is_broken) == (200, expected, False)
    kind = "text/event-stream" if case.is_stream else "application/json"
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-llm-fallback-host"] == GOOD
    assert "x-should-retry" not in answer.headers
    assert answer.seconds < DEADLINE_S


@pytest.mark.parametrize("case", [c for c in CASES if c.failing is Failing.BOTH], ids=str)
def test_one_clean_error_otherwise(got: dict[Case, Got], case: Case) -> None:
    """The client gets an error, in one piece and with its reasons, and is told not to try again."""
    answer, fault = got[case], FAULTS[case.fault]
    assert (answer.status, answer.is_broken) == (fault.status, False)
    assert answer.status >= 400
    assert len(answer.body) == int(answer.headers["content-length"])
    assert fault.body in answer.body
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-llm-fallback-attempts"] == "2"
    assert answer.headers["x-llm-fallback-reason"].count(case.fallback) == 1
    assert answer.seconds < DEADLINE_S
