"""What is on stage in an act of the demo, and what is shown and checked of it."""

import asyncio
import re
from dataclasses import dataclass

from demo_client import Answer, Client
from demo_proxy import Proxy
from demo_terminal import DemoError, Terminal, require
from standin import Seen, StandIn

FALLBACK = "dashscope.aliyuncs.com"
FALLBACK_MODEL = "qwen1.5-72b-chat"
PATH = "/compatible-mode/v1/chat/completions"
# mitmproxy's own lines: each connection, and each flow once more.
MITMPROXYS_OWN = re.compile(r"\] (client|server) (dis)?connect|^127\.0\.0\.1:\d+: [A-Z]+ http|^\s+<< ")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything on stage: who asks, who answers, what stands between."""

    terminal: Terminal
    client: Client
    proxy: Proxy
    fallback: StandIn
    fallback_key: str
    seen_before: int = 0  # requests that the fallback had before this act

    @property
    def seen(self) -> list[Seen]:
        """What the fallback has been asked in this act."""
        return self.fallback.seen[self.seen_before :]

    async def ask(self) -> Answer:
        """Send the request; an error carries the proxy's last words."""
        try:
            return await self.client.ask()
        except DemoError as error:
            output = "\n".join(self.proxy.lines[-20:])
            raise DemoError(f"{error}; the proxy printed last:\n{output}") from error

    async def ask_and_show(self) -> Answer:
        """Send the request; show the answer and what the proxy printed about it."""
        before = len(self.proxy.lines)
        answer = await self.ask()
        await self.show(answer, before)
        return answer

    async def show(self, answer: Answer, before: int) -> None:
        """Show an answer, and what the proxy printed since there were `before` lines."""
        colour = "32" if answer.status == 200 else "31"
        self.terminal.quote("answer", f"{answer.status} {answer.body}", colour)
        await asyncio.sleep(0.3)  # its lines come through a pipe
        for line in self.proxy.lines[before:]:
            if not MITMPROXYS_OWN.search(line):
                self.terminal.quote("proxy", line)

    def show_seen(self, who: str, seen: Seen) -> None:
        """Show a request as the provider got it, without its key."""
        view = " ".join(f"{name}={value}" for name, value in seen.redacted().items())
        self.terminal.quote(who, f"saw {view}")

    def check_fallback(self, answer: Answer) -> Seen:
        """Return what the fallback provider saw; DemoError if it is not what the tutorial promises."""
        require(answer.status == 200, f"expected 200 from the fallback, got {answer.status}: {answer.body}")
        require(answer.model == FALLBACK_MODEL, f"expected the model {FALLBACK_MODEL}, got {answer.model}")
        require(self.seen, "the answer did not come from the fallback provider: it saw no request")
        seen = self.seen[-1]
        require(seen.host == FALLBACK, f"the fallback was addressed as {seen.host!r}, not {FALLBACK!r}")
        require(seen.sni == FALLBACK, f"the fallback's TLS name was {seen.sni!r}, not {FALLBACK!r}")
        require(seen.path == PATH, f"the fallback's path was {seen.path!r}, not {PATH!r}")
        require(
            seen.authorization == f"Bearer {self.fallback_key}", "the fallback got another key than its own"
        )
        return seen
