"""Plays the tutorial on this machine: two requests, an ejection, the fallback, and the primary's recovery.

The proxy is the real one, with the YAML of config/ as published; config/demo/ leads both providers' names to
stand-ins on this machine, with certificates of an authority that only this proxy trusts.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from standin import ADDRESS, Answers, Seen, StandIn, ThrowawayCA

ROOT = Path(__file__).resolve().parent.parent

PRIMARY = "asm-llm-provider-test.com"
FALLBACK = "dashscope.aliyuncs.com"
PRIMARY_MODEL = "test-model"
FALLBACK_MODEL = "qwen1.5-72b-chat"
PRIMARY_KEY = "test-api-key"  # as in config/provider.yaml
PATH = "/compatible-mode/v1/chat/completions"
BODY = '{"messages":[{"role":"user","content":"请介绍你自己"}]}'
HEADER = "Content-Type: application/json"

EJECTION_S = 10.0  # baseEjectionTime; the sweep that ends it comes every `interval`, so up to 1 s later
EARLIEST_S = EJECTION_S - 0.5
LATEST_S = EJECTION_S + 10.0  # generous: a busy machine may be slow, but a return must come
START_TIMEOUT_S = 30.0
GRACE_S = 0.5
# mitmproxy's own lines: each connection, and each flow once more.
MITMPROXYS_OWN = re.compile(r"\] (client|server) (dis)?connect|^127\.0\.0\.1:\d+: [A-Z]+ http|^\s+<< ")
ATTEMPTS_TO_START = (
    5  # mitmweb cannot tell which port it took, so we choose one, and another may take it first
)

EPILOGUE = """\
What to try next:
  your own key   export dashscopeAPI_KEY=sk-...; .venv/bin/mitmdump -s addon/main.py --listen-host 127.0.0.1
  your models    the same with --set llm_config=FOLDER, a folder with your mesh's YAML
  look inside    scripts/demo --keep   leaves it running, and prints the address of mitmweb's page
  the tests      scripts/test
"""


class DemoError(Exception):
    """The story did not go as the tutorial says; the message says where."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the story is told. Colours and rewriting of a line only where a person looks."""

    interactive: bool
    colours: bool

    @classmethod
    def of_this_process(cls) -> "Terminal":
        """Look at standard output, TERM and NO_COLOR."""
        interactive = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        return cls(interactive, interactive and not os.environ.get("NO_COLOR"))

    def paint(self, text: str, code: str) -> str:
        """Return the text in an SGR colour, or as it is."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def heading(self, text: str) -> None:
        """Begin a part of the story."""
        print(f"\n{self.paint(text, '1')}", flush=True)

    def say(self, text: str) -> None:
        """Print one line."""
        print(text, flush=True)

    def quote(self, label: str, text: str, code: str = "2") -> None:
        """Print what somebody else said."""
        print(f"  {label:<9} {self.paint(text, code)}", flush=True)

    def progress(self, text: str) -> None:
        """Show where we are: in place for a person, line by line for a file."""
        print(
            f"\r\x1b[K  {text}" if self.interactive else f"  {text}",
            end="" if self.interactive else "\n",
            flush=True,
        )

    def progress_done(self) -> None:
        """Remove what `progress` left behind."""
        if self.interactive:
            print("\r\x1b[K", end="", flush=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client got."""

    status: int
    body: str

    @property
    def model(self) -> str | None:
        """The model that the answer names; None if it is not a completion."""
        try:
            return str(json.loads(self.body)["model"])
        except (ValueError, KeyError, TypeError):
            return None


def clean_environment() -> dict[str, str]:
    """Return our environment without proxy settings, which would lead the requests out of this machine."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


@dataclass(frozen=True, slots=True)
class Client:
    """Sends the tutorial's request: with curl, as there, or without where there is none."""

    proxy: str
    curl: str | None

    def command(self) -> str:
        """Return the command a person would type."""
        return f"curl -x {self.proxy} http://{PRIMARY} --header '{HEADER}' --data '{BODY}'"

    async def ask(self) -> Answer:
        """Send it and return the answer; DemoError if the proxy itself does not answer."""
        if self.curl is None:
            return await asyncio.to_thread(self._ask_with_urllib)
        arguments = ["-x", self.proxy, f"http://{PRIMARY}", "--header", HEADER, "--data", BODY]
        extra = ["--disable", "--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code}"]
        process = await asyncio.create_subprocess_exec(
            self.curl,
            *extra,
            *(argument.encode() for argument in arguments),
            env=clean_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, complaint = await process.communicate()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode != 0:
            raise DemoError(f"curl failed: {complaint.decode(errors='replace').strip()}")
        body, _, status = out.decode(errors="replace").rpartition("\n")
        return Answer(int(status), body)

    def _ask_with_urllib(self) -> Answer:
        name, _, value = HEADER.partition(": ")
        request = urllib.request.Request(f"http://{PRIMARY}", BODY.encode(), {name: value})
        # Not a ProxyHandler: it obeys NO_PROXY.
        request.set_proxy(self.proxy.removeprefix("http://"), "http")
        opener = urllib.request.OpenerDirector()
        opener.add_handler(urllib.request.HTTPHandler())
        try:
            with opener.open(request, timeout=30) as response:
                return Answer(response.status, response.read().decode(errors="replace"))
        except OSError as error:
            raise DemoError(f"the proxy did not answer: {error}") from error


@dataclass(slots=True)
class Proxy:
    """A running mitmdump or mitmweb, and every line it has printed."""

    process: asyncio.subprocess.Process
    web_url: str | None
    lines: list[str] = field(default_factory=list)
    port: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def url(self) -> str:
        """Its address, for `curl -x`."""
        return f"http://{ADDRESS}:{self.port.result()}"

    async def read_lines(self) -> None:
        """Collect its output; the line that names the port tells that it is ready."""
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            listening = re.search(r"proxy listening at \S*:(\d+)", line)
            if listening and not self.port.done():
                self.port.set_result(int(listening[1]))
        if not self.port.done():
            self.port.set_exception(DemoError("it ended"))

    async def is_up(self) -> None:
        """Wait until it takes connections; DemoError if it ends instead."""
        port = await self.port
        # mitmproxy listens first, and ends a moment later if an addon or the web page failed to start.
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), GRACE_S)
            raise DemoError("it ended")
        _, writer = await asyncio.open_connection(ADDRESS, port)
        writer.close()
        await writer.wait_closed()

    async def stop(self) -> None:
        """End it: politely, then not."""
        with suppress(ProcessLookupError):
            self.process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 5)
                return
            self.process.kill()
        await self.process.wait()


def free_port() -> int:
    """Return a port nobody has right now."""
    with socket.socket() as sock:
        sock.bind((ADDRESS, 0))
        return int(sock.getsockname()[1])


def proxy_command(work: Path, web: tuple[int, str] | None) -> list[str]:
    """Return what starts the proxy, to be run in the repository's root."""
    command = ["mitmdump"]
    if web is not None:
        web_port, password = web
        command = ["mitmweb", "--no-web-open-browser", "--web-port", str(web_port)]
        command += ["--set", f"web_password={password}"]
    command += ["-s", "addon/main.py", "--set", "llm_config=config,config/demo"]
    command += ["--set", f"confdir={work / 'mitmproxy'}", "--listen-host", ADDRESS, "--listen-port", "0"]
    return command


async def start_proxy(work: Path, environment: Mapping[str, str], *, keep: bool) -> Proxy:
    """Start mitmdump, or mitmweb to keep; the caller reads its lines and stops it."""
    web = (free_port(), secrets.token_urlsafe(12)) if keep else None
    program, *arguments = proxy_command(work, web)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name(program)),
        *arguments,
        cwd=ROOT,
        env={**clean_environment(), **environment, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1024 * 1024,
        start_new_session=True,  # Ctrl-C is ours to handle: the proxy is stopped last, and once
    )
    return Proxy(process, f"http://{ADDRESS}:{web[0]}/?token={web[1]}" if web else None)


async def is_ready(proxy: Proxy) -> bool:
    """Tell whether it came up; False if it ended for want of a port, DemoError for any other reason."""
    try:
        await asyncio.wait_for(proxy.is_up(), START_TIMEOUT_S)
    except (DemoError, OSError) as error:
        output = "\n".join(proxy.lines)
        if "failed to listen on" in output:
            return False
        raise DemoError(
            f"the proxy did not start ({error or 'no answer in time'}); it printed:\n{output}"
        ) from error
    return True


@asynccontextmanager
async def running_proxy(work: Path, environment: Mapping[str, str], *, keep: bool) -> AsyncIterator[Proxy]:
    """Run the proxy for as long as the block; start again where a port was snatched away."""
    for _ in range(ATTEMPTS_TO_START):
        proxy = await start_proxy(work, environment, keep=keep)
        reader = asyncio.create_task(proxy.read_lines())
        try:
            if await is_ready(proxy):
                yield proxy
                return
        finally:
            await proxy.stop()
            await reader
    raise DemoError(f"no free port after {ATTEMPTS_TO_START} attempts")


def require(condition: object, message: str) -> None:
    """Raise DemoError unless the condition holds."""
    if not condition:
        raise DemoError(message)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything on stage: who asks, who answers, what stands between."""

    terminal: Terminal
    client: Client
    proxy: Proxy
    fallback: StandIn
    fallback_key: str

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
        require(self.fallback.seen, "the answer did not come from the fallback provider: it saw no request")
        seen = self.fallback.seen[-1]
        require(seen.host == FALLBACK, f"the fallback was addressed as {seen.host!r}, not {FALLBACK!r}")
        require(seen.sni == FALLBACK, f"the fallback's TLS name was {seen.sni!r}, not {FALLBACK!r}")
        require(seen.path == PATH, f"the fallback's path was {seen.path!r}, not {PATH!r}")
        require(
            seen.authorization == f"Bearer {self.fallback_key}", "the fallback got another key than its own"
        )
        return seen


async def play_ejection(stage: Stage) -> float:
    """First request: the primary fails and is ejected. Return when that was."""
    asked_at = asyncio.get_running_loop().time()
    stage.terminal.heading("1. The primary provider is down.")
    stage.terminal.say(f"  $ {stage.client.command()}")
    answer = await stage.ask_and_show()
    require(answer == Answer(503, "no healthy upstream"), f"expected 503 'no healthy upstream', got {answer}")
    require(not stage.fallback.seen, "the first request reached the fallback already")
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


async def play(terminal: Terminal, work: Path, *, keep: bool) -> None:
    """Tell the whole story; DemoError where it goes wrong."""
    authority = ThrowawayCA()
    bundle = work / "ca.pem"
    authority.write_bundle(bundle)
    key = f"sk-demo-{secrets.token_hex(12)}"
    with socket.socket() as reserved:  # bound, not listening: refused, and nobody else can take it
        reserved.bind((ADDRESS, 0))
        fallback_answers = Answers(f"你好,我是 {FALLBACK_MODEL} 的替身:这里没有真正的模型。", key)
        async with StandIn(fallback_answers, tls=authority.issue(FALLBACK)) as fallback:
            environment = {
                "dashscopeAPI_KEY": key,
                "DEMO_DASHSCOPE_PORT": str(fallback.port),
                "DEMO_PRIMARY_PORT": str(reserved.getsockname()[1]),
                "SSL_CERT_FILE": str(bundle),
            }
            terminal.say("Starting mitmproxy with addon/main.py, config/ and config/demo/ ...")
            async with running_proxy(work, environment, keep=keep) as proxy:
                stage = Stage(terminal, Client(proxy.url, shutil.which("curl")), proxy, fallback, key)
                ejected_at = await play_ejection(stage)
                await play_fallback(stage)
                primary_answers = Answers(f"你好,我是 {PRIMARY_MODEL} 的替身,我又能回答了。", PRIMARY_KEY)
                async with StandIn(primary_answers, tls=authority.issue(PRIMARY), sock=reserved) as primary:
                    await play_recovery(stage, primary, ejected_at)
                    terminal.say(
                        f"\n{terminal.paint('All as the tutorial says.', '32')}\n\n{EPILOGUE}".rstrip()
                    )
                    if keep:
                        await keep_running(stage, work)


async def keep_running(stage: Stage, work: Path) -> None:
    """Print how to use what runs, and wait for Ctrl-C or for the proxy's end."""
    stage.terminal.heading("It keeps running, until Ctrl-C.")
    stage.terminal.quote("proxy", stage.proxy.url, "0")
    stage.terminal.quote("mitmweb", stage.proxy.web_url or "", "0")
    stage.terminal.quote(
        "CA file", f"{work / 'mitmproxy' / 'mitmproxy-ca-cert.pem'}  (for clients that use https)", "0"
    )
    stage.terminal.say(f"  $ {stage.client.command()}")
    status = await stage.proxy.process.wait()
    output = "\n".join(stage.proxy.lines[-20:])
    raise DemoError(f"the proxy ended by itself, with status {status}; it printed last:\n{output}")


class Stopped(Exception):  # noqa: N818 - being asked to stop is not an error
    """A signal asked the demo to end."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


@asynccontextmanager
async def signals_stop_us() -> AsyncIterator[None]:
    """Turn the first signal into Stopped, raised in this task; later ones must not disturb the tidying up."""
    task = asyncio.current_task()
    assert task is not None
    received: list[signal.Signals] = []

    def note(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, note, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise Stopped(received[0]) from None


async def run(terminal: Terminal, *, keep: bool) -> None:
    """Play in a temporary directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="llm-fallback-demo-", ignore_cleanup_errors=True) as work:
        async with signals_stop_us():
            await play(terminal, Path(work), keep=keep)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the story; 0 if it went as the tutorial says, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Plays the tutorial on this machine: a failure, the fallback, the recovery."
        " Takes about 15 seconds; needs no key and no network.",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running afterwards, with mitmweb's page"
    )
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # typed as TextIO; a terminal without UTF-8
    terminal = Terminal.of_this_process()
    try:
        asyncio.run(run(terminal, keep=options.keep))
    except DemoError as error:
        terminal.progress_done()
        print(f"{terminal.paint('The demo failed:', '31')} {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        terminal.progress_done()
        asked_to_keep = options.keep and stopped.number is signal.SIGINT
        return 0 if asked_to_keep else 128 + stopped.number
    except BrokenPipeError:  # `scripts/demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
