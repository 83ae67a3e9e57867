"""How often a VirtualService's rule tries, when, for how long, and the faults that it injects."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.background import Background, seconds
from tests.support.clients import Answer
from tests.support.provider import (
    Behaviour,
    Exchange,
    Provider,
    close_before_headers,
    garbage,
    hang,
    head,
    respond,
)
from tests.support.proxy import Setting
from tests.support.yaml_mesh import Mesh, running, service_entry, virtual_service

LONG_S = 25.0
"""Less than this it took, although something that takes for ever was on the way."""

FAILURES: dict[str, Behaviour] = {
    "close": close_before_headers,
    "garbage": garbage,
    "hang": hang,
    "rate-limited": respond(429, b"", (("x-envoy-ratelimited", "true"),)),
    "grpc-1": respond(200, b"", (("grpc-status", "1"),)),
    "grpc-4": respond(200, b"", (("grpc-status", "4"),)),
    "grpc-8": respond(200, b"", (("grpc-status", "8"),)),
    "grpc-13": respond(200, b"", (("grpc-status", "13"),)),
    "grpc-14": respond(200, b"", (("grpc-status", "14"),)),
}
RETRIED = [
    ("5xx", "500"), ("5xx", "503"), ("5xx", "599"), ("5xx", "close"), ("5xx", "garbage"), ("5xx", "nobody"),
    ("gateway-error", "502"), ("gateway-error", "504"), ("gateway-error", "close"),
    ("reset", "close"), ("reset", "nobody"), ("connect-failure", "nobody"),
    ("reset-before-request", "nobody"),
    ("retriable-4xx", "409"), ("429", "429"), ("502,429", "429"), ("retriable-4xx,503", "503"),
    ("envoy-ratelimited", "rate-limited"),
    ("cancelled", "grpc-1"), ("deadline-exceeded", "grpc-4"), ("resource-exhausted", "grpc-8"),
    ("internal", "grpc-13"), ("unavailable", "grpc-14"),
    ("", "nobody"), ("", "grpc-14"),
]  # fmt: skip
"""What stands under `retryOn`, and what happens at the first attempt."""

NOT_RETRIED = [
    ("5xx", "429"), ("5xx", "409"), ("5xx", "grpc-14"), ("gateway-error", "500"), ("gateway-error", "599"),
    ("reset", "503"), ("connect-failure", "close"), ("connect-failure", "503"),
    ("reset-before-request", "close"), ("retriable-4xx", "429"), ("503", "close"), ("429", "503"),
    ("retriable-status-codes", "503"), ("retriable-headers", "503"), ("refused-stream", "503"),
    ("429", "rate-limited"), ("unavailable", "grpc-13"), ("", "503"), ("", "close"),
]  # fmt: skip

RULES = {
    "attempts": "retries:\n    attempts: 4\n    retryOn: 5xx",
    "no-attempts": "retries:\n    attempts: 0",
    "default": "name: default",
    "per-try": "retries:\n    attempts: 1\n    perTryTimeout: 5s\n    retryOn: reset",
    "per-try-twice": "retries:\n    attempts: 1\n    perTryTimeout: 2s\n    retryOn: 5xx",
    "timeout": "timeout: 2s",
    "time-for-all": """timeout: 5s
  retries:
    attempts: 1000
    perTryTimeout: 500ms
    retryOn: reset""",
    "backoff": "timeout: 3s\n  retries:\n    attempts: 1\n    retryOn: 5xx\n    backoff: 2000h",
    "abort": "fault:\n    abort:\n      percentage: {value: 100}\n      httpStatus: 418",
    "no-abort": "fault:\n    abort:\n      percentage: {value: 0}\n      httpStatus: 418",
    "abort-of-nothing": "fault:\n    abort:\n      httpStatus: 418",
    "delay": "fault:\n    delay:\n      percentage: {value: 100}\n      fixedDelay: 300ms",
    "no-delay": "fault:\n    delay:\n      percentage: {value: 0}\n      fixedDelay: 1h",
    "both-faults": """fault:
    delay:
      percentage: {value: 100}
      fixedDelay: 300ms
    abort:
      percentage: {value: 100}
      httpStatus: 503""",
}
"""By the first label of the host; each leads to the same provider."""


async def as_asked(exchange: Exchange) -> None:
    """Fail as the path says, or with the status in it, while attempts are below the number in it."""
    _, failure, *up_to = exchange.request.path.split("/")
    attempt = int(exchange.request.header("x-envoy-attempt-count") or "0")
    if attempt > int(up_to[0] if up_to else "1"):
        await exchange.send(head(200, (("content-length", "2"),)) + b"ok")
    elif failure in FAILURES:
        await FAILURES[failure](exchange)
    else:
        await respond(int(failure), failure.encode())(exchange)


def rule(what: str, destination: str = "flaky") -> str:
    return f"- {what}\n  route:\n  - destination: {{host: {destination}.test}}\n"


def label(retry_on: str) -> str:
    return f"on-{retry_on.replace(',', '-') or 'default'}"


def retrying() -> Iterator[str]:
    for retry_on in {case[0] for case in (*RETRIED, *NOT_RETRIED)}:
        written = f"\n    retryOn: '{retry_on}'" if retry_on else ""
        what = f"retries:\n    attempts: 1{written}"
        yield virtual_service(label(retry_on), rule(what))
        yield virtual_service(f"nobody-{label(retry_on)}", rule(what, "nobody"))


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = "".join(
        [
            *(virtual_service(name, rule(what)) for name, what in RULES.items()),
            *retrying(),
            service_entry("flaky"),
            service_entry("nobody"),
        ]
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with running(
            background,
            setting,
            tmp_path_factory.mktemp("retries"),
            text,
            {"flaky": Provider(as_asked)},
            values={"nobody": nobody.getsockname()[1]},
        ) as mesh:
            yield mesh


def attempts(mesh: Mesh, url: str) -> tuple[Answer, int]:
    """The answer, and how many requests to the provider it took.

    Those of another host may be a try that was given up before, and comes only now.
    """
    requests = mesh.providers["flaky"].requests
    before = len(requests)
    answer = mesh.ask(url)
    host = url.partition("/")[0]
    return answer, sum(request.header("host") == host for request in requests[before:])


@pytest.mark.parametrize(("retry_on", "failure"), [case for case in RETRIED if case[1] != "nobody"])
def test_a_failure_that_is_retried(mesh: Mesh, retry_on: str, failure: str) -> None:
    """The second attempt's answer is the client's."""
    answer, made = attempts(mesh, f"{label(retry_on)}.test/{failure}")
    assert (answer.status, answer.body, made) == (200, b"ok", 2)


@pytest.mark.parametrize(("retry_on", "failure"), NOT_RETRIED)
def test_a_failure_that_is_not_retried(mesh: Mesh, retry_on: str, failure: str) -> None:
    """The first attempt's fate is the client's."""
    answer, made = attempts(mesh, f"{label(retry_on)}.test/{failure}")
    assert answer.body != b"ok"
    assert made == 1


@pytest.mark.parametrize("retry_on", [case[0] for case in RETRIED if case[1] == "nobody"])
def test_a_refused_connection_that_is_retried(mesh: Mesh, retry_on: str) -> None:
    """The body says so, and the log has both attempts."""
    name = f"nobody-{label(retry_on)}.test"
    answer = mesh.ask(name)
    assert b"retried and the latest reset reason: remote connection failure" in answer.body
    assert mesh.told(name, "503 UF,URX").count("connect-failure (") == 2


def test_a_refused_connection_that_is_not_retried(mesh: Mesh) -> None:
    answer = mesh.ask("nobody-on-retriable-4xx.test")
    assert b"headers. reset reason: remote connection failure" in answer.body
    assert mesh.told("nobody-on-retriable-4xx.test", "503 UF").count("connect-failure (") == 1


@pytest.mark.parametrize(("path", "status", "made"), [("503/4", 200, 5), ("503/5", 503, 5), ("200", 200, 1)])
def test_attempts(mesh: Mesh, path: str, status: int, made: int) -> None:
    """So many retries, and then no more."""
    answer, tries = attempts(mesh, f"attempts.test/{path}")
    assert (answer.status, tries) == (status, made)


@pytest.mark.parametrize("path", ["503", "grpc-14", "close"])
def test_no_attempts(mesh: Mesh, path: str) -> None:
    """Istio's default, which retries some of these, is off."""
    answer, made = attempts(mesh, f"no-attempts.test/{path}")
    assert (answer.body != b"ok", made) == (True, 1)


@pytest.mark.parametrize(
    ("path", "made", "is_saved"), [("grpc-14/2", 3, True), ("grpc-14/3", 3, False), ("503", 1, False)]
)
def test_without_retries(mesh: Mesh, path: str, made: int, *, is_saved: bool) -> None:
    """Istio's default: two, not after a 503."""
    answer, tries = attempts(mesh, f"default.test/{path}")
    assert (answer.body == b"ok", tries) == (is_saved, made)


def test_per_try_timeout(mesh: Mesh) -> None:
    """A try that takes longer ends; the next one may be quicker."""
    answer, made = attempts(mesh, "per-try.test/hang")
    assert (answer.body, made) == (b"ok", 2)


def test_per_try_timeouts_used_up(mesh: Mesh) -> None:
    answer, made = attempts(mesh, "per-try-twice.test/hang/2")
    assert (answer.status, answer.body, made) == (504, b"upstream request timeout", 2)
    assert mesh.told("per-try-twice.test", "504 UT,URX")


def test_timeout(mesh: Mesh) -> None:
    """The whole request may take so long, and the provider is told so."""
    began = seconds()
    answer, made = attempts(mesh, "timeout.test/hang")
    assert (answer.status, answer.body, made) == (504, b"upstream request timeout", 1)
    assert 2 <= seconds() - began < LONG_S
    assert mesh.told("timeout.test", "504 UT")
    expected = mesh.providers["flaky"].requests[-1].header("x-envoy-expected-rq-timeout-ms")
    assert 0 < int(expected or "0") <= 2000


def test_timeout_over_all_attempts(mesh: Mesh) -> None:
    """Its end is the end of the retries."""
    began = seconds()
    answer, made = attempts(mesh, "time-for-all.test/hang/1000")
    assert (answer.status, answer.body) == (504, b"upstream request timeout")
    assert 2 <= made < 1000
    assert seconds() - began < LONG_S


def test_backoff(mesh: Mesh) -> None:
    """A pause that takes weeks, where the default's is a few milliseconds: the timeout ends it."""
    answer, made = attempts(mesh, "backoff.test/503")
    assert (answer.status, answer.body, made) == (504, b"upstream request timeout", 1)


def test_an_injected_abort(mesh: Mesh) -> None:
    """The provider is not asked."""
    answer, made = attempts(mesh, "abort.test/200")
    assert (answer.status, answer.body, made) == (418, b"fault filter abort", 0)
    assert mesh.told("abort.test", "418 FI")


@pytest.mark.parametrize("name", ["no-abort", "abort-of-nothing", "no-delay"])
def test_a_fault_that_is_for_no_request(mesh: Mesh, name: str) -> None:
    """Of 0 per cent, or of no percentage at all, as Istio has it."""
    began = seconds()
    assert attempts(mesh, f"{name}.test/200/0")[0].body == b"ok"
    assert seconds() - began < LONG_S


def test_an_injected_delay(mesh: Mesh) -> None:
    """The provider is asked, later."""
    began = seconds()
    answer, made = attempts(mesh, "delay.test/200/0")
    assert (answer.body, made) == (b"ok", 1)
    assert 0.3 <= seconds() - began < LONG_S
    assert mesh.told("delay.test", "200 DI")


def test_a_delayed_abort(mesh: Mesh) -> None:
    began = seconds()
    answer, made = attempts(mesh, "both-faults.test/200")
    assert (answer.status, made) == (503, 0)
    assert seconds() - began >= 0.3
    assert mesh.told("both-faults.test", "503 DI,FI")
