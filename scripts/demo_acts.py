"""The demo's acts: the tutorial, and the same with one policy added."""

import asyncio
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_client import PRIMARY, Answer, Client
from demo_proxy import running_proxy
from demo_stage import FALLBACK, FALLBACK_MODEL, PATH, Stage
from demo_terminal import DemoError, Terminal, require
from standin import ADDRESS, Answers, StandIn, ThrowawayCA

PRIMARY_MODEL = "test-model"
PRIMARY_KEY = "test-api-key"  # as in config/provider.yaml
TUTORIAL = "config,config/demo"
WITH_POLICY = "config,config/rescue,config/demo"

EJECTION_S = 10.0  # baseEjectionTime; the sweep that ends it comes every `interval`, so up to 1 s later
EARLIEST_S = EJECTION_S - 0.5
LATEST_S = EJECTION_S + 10.0  # generous: a busy machine may be slow, but a return must come

EPILOGUE = """\
What to try next:
  your own key   export dashscopeAPI_KEY=sk-...; .venv/bin/llm-fallback run -f config
  the policy     .venv/bin/llm-fallback run -f config -f config/rescue
  your models    .venv/bin/llm-fallback run -f FOLDER   with your mesh's YAML in it
  look inside    {look_inside}
  the tests      scripts/test"""
LOOK_INSIDE = "scripts/demo --keep   leaves it running, with the admin page and mitmweb's"
LOOK_INSIDE_NOW = ".venv/bin/llm-fallback status --watch   and the pages below"


@dataclass(frozen=True, slots=True)
class Theatre:
    """What both acts share."""

    terminal: Terminal
    work: Path
    authority: ThrowawayCA
    fallback: StandIn
    fallback_key: str

    @asynccontextmanager
    async def stage(self, config: str, primary_port: int, *, web_page: bool = False) -> AsyncIterator[Stage]:
        """Run the proxy with this configuration for as long as the block."""
        environment = {
            "dashscopeAPI_KEY": self.fallback_key,
            "DEMO_DASHSCOPE_PORT": str(self.fallback.port),
            "DEMO_PRIMARY_PORT": str(primary_port),
            "SSL_CERT_FILE": str(self.work / "ca.pem"),
        }
        folders = ", ".join(f"{folder}/" for folder in config.split(","))
        self.terminal.say(f"Starting mitmproxy with addon/main.py, {folders} ...")
        async with running_proxy(self.work, config, environment, web_page=web_page) as proxy:
            client = Client(proxy.url, shutil.which("curl"))
            seen_before = len(self.fallback.seen)
            yield Stage(self.terminal, client, proxy, self.fallback, self.fallback_key, seen_before)


async def play(terminal: Terminal, work: Path, *, keep: bool) -> None:
    """Tell the whole story; DemoError where it goes wrong."""
    authority = ThrowawayCA()
    authority.write_bundle(work / "ca.pem")
    key = f"sk-demo-{secrets.token_hex(12)}"
    answers = Answers(f"你好,我是 {FALLBACK_MODEL} 的替身:这里没有真正的模型。", key)
    async with StandIn(answers, tls=authority.issue(FALLBACK)) as fallback:
        theatre = Theatre(terminal, work, authority, fallback, key)
        await play_tutorial(theatre)
        await play_rescue(theatre, keep=keep)


async def play_tutorial(theatre: Theatre) -> None:
    """First act: one request is lost, the next gets the fallback, and the primary comes back."""
    with reserved() as sock:
        async with theatre.stage(TUTORIAL, sock.getsockname()[1]) as stage:
            ejected_at = await play_ejection(stage)
            await play_fallback(stage)
            answers = Answers(f"你好,我是 {PRIMARY_MODEL} 的替身,我又能回答了。", PRIMARY_KEY)
            async with StandIn(answers, tls=theatre.authority.issue(PRIMARY), sock=sock) as primary:
                await play_recovery(stage, primary, ejected_at)
    theatre.terminal.say(f"\n{theatre.terminal.paint('All as the tutorial says.', '32')}\n")


async def play_rescue(theatre: Theatre, *, keep: bool) -> None:
    """Second act: with a policy, no request is lost."""
    with reserved() as sock:
        async with theatre.stage(WITH_POLICY, sock.getsockname()[1], web_page=keep) as stage:
            if keep:
                show_addresses(stage)
            await play_saved(stage)
            await play_spared(stage)
            done = theatre.terminal.paint("With one policy, nobody saw the outage.", "32")
            epilogue = EPILOGUE.format(look_inside=LOOK_INSIDE_NOW if keep else LOOK_INSIDE)
            theatre.terminal.say(f"\n{done}\n\n{epilogue}")
            if keep:
                await keep_running(stage, theatre.work)


def reserved() -> socket.socket:
    """A port of our own: bound, not listening, so that it refuses and nobody else can take it."""
    sock = socket.socket()
    sock.bind((ADDRESS, 0))
    return sock


async def play_ejection(stage: Stage) -> float:
    """First request: the primary fails and is ejected. Return when that was."""
    asked_at = asyncio.get_running_loop().time()
    stage.terminal.heading("1. The primary provider is down.")
    stage.terminal.say(f"  $ {stage.client.command()}")
    answer = await stage.ask_and_show()
    require(answer == Answer(503, "no healthy upstream"), f"expected 503 'no healthy upstream', got {answer}")
    require(not stage.seen, "the first request reached the fallback already")
    stage.terminal.say(
        f"  {PRIMARY} could not be reached: the request fails, the provider is ejected for 10 s."
    )
    return asked_at


async def play_fallback(stage: Stage) -> None:
    """Second request: the fallback answers."""
    stage.terminal.heading("2. The same request again.")
    answer = await stage.ask_and_show()
    seen = stage.check_fallback(answer)
    stage.show_seen("fallback", seen)
    stage.terminal.say(f"  {FALLBACK} answered in its place, with its own path, model and key.")


async def play_recovery(stage: Stage, primary: StandIn, ejected_at: float) -> None:
    """Ask every second until the primary answers again."""
    clock = asyncio.get_running_loop().time
    stage.terminal.heading("3. The primary provider is back; its ejection has to run out first.")
    while True:
        before = len(stage.proxy.lines)
        answer = await stage.ask()
        passed = clock() - ejected_at
        if answer.model == PRIMARY_MODEL:
            break
        stage.check_fallback(answer)
        left = max(0.0, EJECTION_S - passed)
        end = f"in about {left:.0f} s" if left >= 1 else "any moment"
        stage.terminal.progress(f"{passed:4.1f} s: {answer.model} answers; the ejection ends {end}")
        require(passed < LATEST_S, f"{passed:.0f} s after its ejection the primary still gets no requests")
        await asyncio.sleep(min(1.0, max(left, 0.25)))
    stage.terminal.progress_done()
    returned = [number for number, line in enumerate(stage.proxy.lines) if "returned " in line]
    await stage.show(answer, min([before, *returned]))
    require(
        passed >= EARLIEST_S, f"the primary was back after {passed:.1f} s, before its ejection had run out"
    )
    require(primary.seen, "the answer names the primary's model, but the primary saw no request")
    stage.show_seen("primary", primary.seen[-1])
    require(primary.seen[-1].path == PATH, f"the primary's path was not {PATH!r}")
    stage.terminal.say(f"  {PRIMARY} answers again, {passed:.1f} s after it was ejected.")


async def play_saved(stage: Stage) -> None:
    """First request: the primary fails, and the fallback answers all the same."""
    stage.terminal.heading(
        "4. One file more, config/rescue/llmfallbackpolicy.yaml; the primary provider is down."
    )
    stage.terminal.say(f"  $ {stage.client.command()}")
    stage.check_fallback(await stage.ask_and_show())
    ejected = any(" ejected " in line for line in stage.proxy.lines)
    require(ejected, "the primary was not ejected for its failure")
    stage.terminal.say(f"  {PRIMARY} could not be reached, and {FALLBACK} answered this very request.")


async def play_spared(stage: Stage) -> None:
    """Second request: the ejected primary is not asked."""
    stage.terminal.heading("5. The same request again.")
    stage.check_fallback(await stage.ask_and_show())
    require(len(stage.seen) == 2, f"the fallback saw {len(stage.seen)} requests instead of 2")
    stage.terminal.say(f"  {FALLBACK} answered at once: {PRIMARY} is ejected, as in the tutorial.")


async def keep_running(stage: Stage, work: Path) -> None:
    """Print how to use what runs, and wait for Ctrl-C or for the proxy's end."""
    stage.terminal.heading("It keeps running, until Ctrl-C.")
    show_addresses(stage)
    stage.terminal.quote(
        "CA file", f"{work / 'mitmproxy' / 'mitmproxy-ca-cert.pem'}  (for clients that use https)", "0"
    )
    stage.terminal.say(f"  $ {stage.client.command()}")
    status = await stage.proxy.process.wait()
    output = "\n".join(stage.proxy.lines[-20:])
    raise DemoError(f"the proxy ended by itself, with status {status}; it printed last:\n{output}")


def show_addresses(stage: Stage) -> None:
    """Of what runs, and can be looked at."""
    stage.terminal.quote("proxy", stage.proxy.url, "0")
    stage.terminal.quote("admin", stage.proxy.admin_url, "0")
    stage.terminal.quote("mitmweb", stage.proxy.web_url or "", "0")
