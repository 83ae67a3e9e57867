"""How a provider that was left alone comes back: when it said it would, and one request at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from tests.support import answers
from tests.support.background import Background, seconds, wait_until
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.mesh import Host
from tests.support.policies import policy, write_rescued
from tests.support.provider import Behaviour, Exchange, Provider, respond
from tests.support.proxy import Proxy, Setting
from tests.support.rescued import FALLBACK, PRIMARY, URL, WHOLE, Mesh, rescuing

WAIT_S = 2.0
DATE_STEP_S = 1.0  # a date has no fractions
TIMER_S = 0.05
PATIENCE_S = 30.0
CLIENTS = 12
FAILED = respond(503, b"down")


def later(moment_s: float) -> str:
    """A date so many seconds from now."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=moment_s), usegmt=True)


class Refusing:
    """Refuses the first request, saying when to come back; then answers, and notes when it was asked."""

    def __init__(self, status: int, name: str, value: Callable[[], str]) -> None:
        self.asked_at: list[float] = []
        self._status = status
        self._name = name
        self._value = value

    async def __call__(self, exchange: Exchange) -> None:
        """Refuse, or answer."""
        self.asked_at.append(seconds())
        if len(self.asked_at) == 1:
            headers = ((self._name, self._value()),)
            await respond(self._status, b"later", headers)(exchange)
        else:
            await answers.good()(exchange)


def test_a_provider_is_not_asked_before_it_wants_to_be(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Even without outlier detection, in every form: it is asked once, and again when its time has come."""
    refusing = {
        "seconds": Refusing(429, "retry-after", lambda: f"{WAIT_S:g}"),
        "milliseconds": Refusing(429, "retry-after-ms", lambda: f"{WAIT_S * 1000:g}"),
        "date": Refusing(429, "retry-after", lambda: later(WAIT_S + DATE_STEP_S)),
        "503": Refusing(503, "retry-after", lambda: f"{WAIT_S:g}"),
        "529": Refusing(529, "retry-after", lambda: f"{WAIT_S:g}"),
    }
    with ExitStack() as stack:
        hosts = []
        behaviours: dict[str, Behaviour] = {**refusing, "fallback": answers.good()}
        for label, behaviour in behaviours.items():
            provider = Provider(behaviour, authority.issue(f"{label}.test"))
            port = stack.enter_context(background.serving(provider)).port
            saved = FALLBACK if label in refusing else None
            hosts.append(Host(name=f"{label}.test", port=port, fallback=saved))
        config = write_rescued(tmp_path / "mesh", hosts, policy(*refusing))
        proxy = stack.enter_context(Proxy(setting, config))
        client = stack.enter_context(http_client(proxy))
        deadline = seconds() + PATIENCE_S
        while min(len(each.asked_at) for each in refusing.values()) < 2:
            assert seconds() < deadline, "somebody is still not asked"
            for label in refusing:
                assert client.post(f"http://{label}.test/v1/chat/completions").status_code == 200
    waits = {label: each.asked_at[1] - each.asked_at[0] for label, each in refusing.items()}
    assert {label: wait for label, wait in waits.items() if wait < WAIT_S - TIMER_S} == {}


def host_of(response: httpx.Response) -> str:
    """Who has answered."""
    assert response.status_code == 200, response.content
    return str(response.headers["x-llm-fallback-host"])


@pytest.mark.parametrize("probation", [True, False])
def test_probation_is_one_request_at_a_time(
    *, probation: bool, background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """While the first request after the return is under way, all others go on; then all come back."""
    ready = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await ready.wait()
        await answers.good()(exchange)

    mesh = Mesh(primary=FAILED, threshold=1, ejection="300ms", spec={"ejection": {"probation": probation}})
    with (
        rescuing(mesh, background, authority, setting, tmp_path) as targets,
        http_client(targets.proxy) as client,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        assert host_of(client.post(URL, content=WHOLE)) == FALLBACK
        targets.proxy.wait_for_line(f"returned {PRIMARY}:80")
        targets.primary.behaviour = slow
        before = len(targets.primary.requests)
        try:
            first = threads.submit(client.post, URL, content=WHOLE)
            wait_until(lambda: len(targets.primary.requests) > before, "the first request is there")
            others = [threads.submit(client.post, URL, content=WHOLE) for _ in range(CLIENTS - 1)]
            if probation:
                assert {host_of(other.result()) for other in others} == {FALLBACK}
                assert len(targets.primary.requests) == before + 1
            else:
                wait_until(lambda: len(targets.primary.requests) == before + CLIENTS, "all are there")
        finally:
            background.call(ready.set)
        assert host_of(first.result()) == PRIMARY
        assert host_of(client.post(URL, content=WHOLE)) == PRIMARY


def test_a_probe_that_fails_is_not_the_last(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """The client whose request is the probe sees nothing of its failure; in the end the primary is back."""
    mesh = Mesh(primary=FAILED, threshold=1, ejection="300ms", spec={"ejection": {"probation": True}})
    with (
        rescuing(mesh, background, authority, setting, tmp_path) as targets,
        http_client(targets.proxy) as client,
    ):
        deadline = seconds() + PATIENCE_S
        while len(targets.primary.requests) < 3:
            assert host_of(client.post(URL, content=WHOLE)) == FALLBACK
            assert seconds() < deadline, "the primary is not tried again"
        targets.primary.behaviour = answers.good()
        while host_of(client.post(URL, content=WHOLE)) == FALLBACK:
            assert seconds() < deadline + PATIENCE_S, "the primary is not back"


EJECTED, HELD = respond(503, b"down"), respond(429, b"no", (("retry-after", "60"),))


@pytest.mark.parametrize(
    ("all_ejected", "primary", "asked"),
    [("Fail", EJECTED, 1), ("TrySoonest", EJECTED, 2), ("TrySoonest", HELD, 1)],
    ids=["fail", "soonest", "never-before-it-wants-to-be"],
)
def test_when_all_are_ejected(
    *,
    all_ejected: str,
    primary: Behaviour,
    asked: int,
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path: Path,
) -> None:
    """The client fails at once, or who is back soonest is asked all the same, if that allows it."""
    fallback = EJECTED if primary is EJECTED else HELD
    spec = {"allEjected": all_ejected}
    mesh = Mesh(primary=primary, fallback=fallback, threshold=1, ejection="60s", spec=spec)
    with (
        rescuing(mesh, background, authority, setting, tmp_path) as targets,
        http_client(targets.proxy) as client,
    ):
        assert client.post(URL, content=WHOLE).status_code >= 400
        targets.primary.behaviour = answers.good()
        answer = client.post(URL, content=WHOLE)
        assert answer.status_code == (200 if asked == 2 else 503)
        assert (len(targets.primary.requests), len(targets.fallback.requests)) == (asked, 1)
