"""The demo's proxy: mitmdump or mitmweb as a process, with the addon and the YAML of config/."""

import asyncio
import re
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from demo_client import clean_environment
from demo_terminal import DemoError
from standin import ADDRESS

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 30.0
GRACE_S = 0.5
ATTEMPTS_TO_START = (
    5  # mitmweb cannot tell which port it took, so we choose one, and another may take it first
)


@dataclass(slots=True)
class Proxy:
    """A running mitmdump or mitmweb, and every line it has printed."""

    process: asyncio.subprocess.Process
    web_url: str | None
    """Of mitmweb's page."""
    lines: list[str] = field(default_factory=list)
    port: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def url(self) -> str:
        """Its address, for `curl -x`."""
        return f"http://{ADDRESS}:{self.port.result()}"

    @property
    def admin_url(self) -> str:
        """Of the admin page."""
        found = re.search(r"admin page at (\S+)", "\n".join(self.lines))
        return found[1] if found else ""

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


def proxy_command(work: Path, config: str, web: tuple[int, str] | None) -> list[str]:
    """Return what starts the proxy, to be run in the repository's root."""
    command = ["mitmdump"]
    if web is not None:
        web_port, password = web
        command = ["mitmweb", "--no-web-open-browser", "--web-port", str(web_port)]
        command += ["--set", f"web_password={password}"]
    command += ["-s", "addon/main.py", "--set", f"llm_config={config}", "--set", f"llm_admin={ADDRESS}:0"]
    command += ["--set", f"confdir={work / 'mitmproxy'}", "--listen-host", ADDRESS, "--listen-port", "0"]
    return command


async def start_proxy(work: Path, config: str, environment: Mapping[str, str], *, web_page: bool) -> Proxy:
    """Start mitmdump, or mitmweb; the caller reads its lines and stops it."""
    web = (free_port(), secrets.token_urlsafe(12)) if web_page else None
    program, *arguments = proxy_command(work, config, web)
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
async def running_proxy(
    work: Path, config: str, environment: Mapping[str, str], *, web_page: bool
) -> AsyncIterator[Proxy]:
    """Run the proxy for as long as the block; start again where a port was snatched away."""
    for _ in range(ATTEMPTS_TO_START):
        proxy = await start_proxy(work, config, environment, web_page=web_page)
        reader = asyncio.create_task(proxy.read_lines())
        try:
            if await is_ready(proxy):
                yield proxy
                return
        finally:
            await proxy.stop()
            await reader
    raise DemoError(f"no free port after {ATTEMPTS_TO_START} attempts")
