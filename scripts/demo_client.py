"""The demo's client: the tutorial's request, sent through a proxy."""

import asyncio
import json
import os
import urllib.request
from contextlib import suppress
from dataclasses import dataclass

from demo_terminal import DemoError

PRIMARY = "asm-llm-provider-test.com"
BODY = '{"messages":[{"role":"user","content":"请介绍你自己"}]}'
HEADER = "Content-Type: application/json"


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
