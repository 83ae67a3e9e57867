"""An outage from beginning to end, under many clients at once: none of them sees anything of it."""

import asyncio
import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support import answers
from tests.support.background import DEADLINE_S, Background, seconds, wait_until
from tests.support.certificates import Authority
from tests.support.clients import client_context
from tests.support.mesh import Host
from tests.support.policies import policy, write_rescued
from tests.support.provider import Behaviour, Exchange, Provider, hang, reset_before_headers, respond
from tests.support.proxy import Proxy, Setting

OUTAGE_S = float(os.environ.get("LLM_FALLBACK_OUTAGE_S", "6"))
"""How long the outage lasts; set it to 60 for one that is played whole."""

CLIENTS = 50
PAUSE_S = 0.4
LIMIT_S = 5.0
EJECTION_S = 1.0
RETURN_S = 5.0  # beyond a probe that hangs, and the ejection after it
MEMORY_FACTOR = 1.25
HOST, FALLBACK = "primary.test", "fallback.test"

FAILURES = (
    respond(503, b"unavailable"),
    reset_before_headers,
    hang,
    answers.hang_after_200,
    answers.error_answer,
    respond(429, b"slow down", (("retry-after", "1"),)),
)


def failing() -> Behaviour:
    """Fail in one way after the other."""
    kinds = itertools.cycle(FAILURES)

    async def behave(exchange: Exchange) -> None:
        await next(kinds)(exchange)

    return behave


@dataclass(slots=True)
class Load:
    """Clients that ask again and again, and what they got: by whom, or what went wrong."""

    proxy: Proxy
    is_over: bool = False
    by: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def run(self, story: Callable[[], None]) -> None:
        """Ask until the story, which runs in a thread, is told."""
        clients = [self._client(number) for number in range(CLIENTS)]
        asking = [asyncio.create_task(client) for client in clients]
        try:
            await asyncio.to_thread(story)
        finally:
            self.is_over = True
            await asyncio.gather(*asking)

    async def _client(self, number: int) -> None:
        http2 = number % 4 == 0
        is_stream = number % 2 == 0
        body = b'{"messages":[],"stream":true}' if is_stream else b'{"messages":[]}'
        url = f"{'https' if http2 else 'http'}://{HOST}/v1/chat/completions"
        context = client_context(self.proxy, http2=http2)
        async with httpx.AsyncClient(
            proxy=self.proxy.url, http2=http2, verify=context, timeout=30, trust_env=False
        ) as client:
            await asyncio.sleep(PAUSE_S * number / CLIENTS)  # not all of them in step
            while not self.is_over:
                await self._ask(client, url, body)
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, client: httpx.AsyncClient, url: str, body: bytes) -> None:
        try:
            response = await client.post(url, content=body)
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        whole = response.content.endswith(answers.DONE) or response.content.endswith(b"}]}")
        if response.status_code == 200 and whole and b"error" not in response.content:
            self.by.append((seconds(), response.headers["x-llm-fallback-host"]))
        else:
            self.failures.append(f"{response.status_code} {response.content!r}")

    def served_by(self, host: str, since: float) -> list[float]:
        """The moments at which answers of a host were complete."""
        return [moment for moment, by in self.by if by == host and moment >= since]


def test_an_outage(background: Background, authority: Authority, setting: Setting, tmp_path: Path) -> None:
    """No client fails, the dead primary is left alone but for probes, and is back soon; memory stays."""
    primary = Provider(answers.good(), authority.issue(HOST))
    fallback = Provider(answers.good(), authority.issue(FALLBACK))
    with background.serving(primary), background.serving(fallback):
        config = write_rescued(
            tmp_path / "mesh",
            [
                Host(
                    name=HOST,
                    port=primary.port,
                    threshold=1,
                    ejection=f"{EJECTION_S}s",
                    fallback="fallback.test",
                ),
                Host(name="fallback.test", port=fallback.port),
            ],
            policy(
                "primary",
                limits=dict.fromkeys(("responseHeaders", "firstToken", "stall"), f"{LIMIT_S}s"),
                ejection={"probation": True},
            ),
        )
        with Proxy(setting, config) as proxy:
            load = Load(proxy)
            story = Story(load, primary, proxy)
            asyncio.run(load.run(story.play))
    assert load.failures == []
    story.check()


class Story:
    """What happens to the primary, and what is measured meanwhile."""

    def __init__(self, load: Load, primary: Provider, proxy: Proxy) -> None:
        self._load = load
        self._primary = primary
        self._proxy = proxy
        self._attempts = 0
        self._asked = 0
        self._recovered_at = 0.0
        self._back_after_s = 0.0
        self._last_ejection_s = 0.0
        self._memory = (0, 0)

    def play(self) -> None:
        """A calm, the outage, and the primary's return."""
        wait_until(lambda: len(self._load.by) >= 3 * CLIENTS, "everybody has been served")
        before = memory(self._proxy.pid)
        asked, attempted = len(self._load.by), len(self._primary.requests)
        self._primary.behaviour = failing()
        ends_at = seconds() + OUTAGE_S
        wait_until(lambda: seconds() >= ends_at, "the outage is over", within_s=OUTAGE_S + 1)
        self._attempts = len(self._primary.requests) - attempted
        self._asked = len(self._load.by) - asked
        self._primary.behaviour = answers.good()
        self._recovered_at = seconds()
        wait_until(
            lambda: len(self._load.served_by(HOST, self._recovered_at)) >= 3 * CLIENTS,
            "the primary serves everybody again",
            within_s=2 * DEADLINE_S,
        )
        self._last_ejection_s = max(map(float, re.findall(r"ejected .* for ([\d.]+) s", self._proxy.log)))
        self._back_after_s = self._load.served_by(HOST, self._recovered_at)[0] - self._recovered_at
        self._memory = (before, memory(self._proxy.pid))

    def check(self) -> None:
        """Few attempts at the dead primary; a return soon after its recovery; memory as before."""
        assert self._attempts <= CLIENTS + OUTAGE_S / EJECTION_S
        assert self._back_after_s <= LIMIT_S + self._last_ejection_s + RETURN_S
        assert self._memory[1] <= self._memory[0] * MEMORY_FACTOR


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
