"""A headless Chromium, driven by its DevTools protocol: what a person would see and do, in a test."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.background import DEADLINE_S, Background, wait_until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The browser of this machine; None where there is none."""

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-lcd-text",
    "--disable-sync",
    "--hide-scrollbars",
    "--password-store=basic",
    "about:blank",
)
_WAIT = """
new Promise((resolve, reject) => {
  const holds = () => { try { return %s } catch { return false } }
  const finish = done => { observer.disconnect(); clearInterval(poll); clearTimeout(end); done() }
  const look = () => { const value = holds(); if (value) finish(() => resolve(value)) }
  const observer = new MutationObserver(look)
  observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true})
  const poll = setInterval(look, 50)  // for what changes no node, such as the focus
  const end = setTimeout(() => finish(() => reject(new Error('it never held'))), %d)
  look()
})
"""
_KEYS: Mapping[str, tuple[str, int, str]] = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Space": ("Space", 32, " "),
    "Tab": ("Tab", 9, ""),
}
_NOISE = (
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_EMPTY_RESPONSE",
    "ERR_CONNECTION_RESET",
    "status of 400",
)


class PageError(AssertionError):
    """What the page's JavaScript threw, or what DevTools refused."""


class Page:
    """A tab. Its methods wait for the browser; `complaints` are what its console says is wrong."""

    def __init__(self, background: Background, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._background = background
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self._is_loaded = asyncio.Event()

    async def attach(self) -> None:
        """Open the tab, and listen to all it says."""
        self._listening = asyncio.create_task(self._listen())
        target = await self._send("Target.createTarget", url="about:blank")
        attached = await self._send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Audits", "Accessibility"):
            await self._send(f"{domain}.enable")

    def command(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a DevTools command."""
        return self._background.run(self._send(method, **arguments))

    def navigate(self, url: str) -> None:
        """Go there, and wait until all is loaded."""
        self._background.run(self._navigate(url))

    def leave(self, expression: str) -> None:
        """Evaluate what leads to another page, and wait until all of that is loaded."""
        self._background.run(self._leave(expression))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression; of what it becomes if it is a promise."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"].get("exception", {})
            raise PageError(f"{thrown.get('description', answer['exceptionDetails'])}\nin: {expression}")
        return answer["result"].get("value")

    def wait_for(self, condition: str, *, within_s: float = DEADLINE_S - 5) -> Any:
        """Wait until an expression holds; what throws does not hold."""
        try:
            return self.evaluate(_WAIT % (condition, within_s * 1000))
        except PageError as error:
            now = self.evaluate("document.body.innerText")
            raise PageError(
                f"not within {within_s:g} s: {condition}\n{self.complaints}\nthe page says:\n{now}"
            ) from error

    def text(self, selector: str) -> str:
        """The text of an element as it is shown."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """Click on the middle of an element with the mouse."""
        found = self.evaluate(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
            " node.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const {x, y, width, height} = node.getBoundingClientRect();"
            " return [x + width / 2, y + height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=found[0], y=found[1], button="left", clickCount=1
            )

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press one of the keys that move about in a page."""
        code, number, text = _KEYS[key]
        name = " " if key == "Space" else key
        common = {"key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self.command("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.command("Input.insertText", text=text)

    def fill(self, selector: str, text: str) -> None:
        """Replace what a field holds by typing."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self.type(text)

    def look(self, *, dark: bool = False, width: int = 1280, height: int = 900, scale: float = 1.0) -> None:
        """Have the page seen in another way; motion is reduced always, so that nothing is halfway."""
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce",
        }
        self.command(
            "Emulation.setEmulatedMedia", features=[{"name": k, "value": v} for k, v in features.items()]
        )
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def screenshot(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        data = self.command("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]
        path.write_bytes(base64.b64decode(data))

    def controls(self) -> list[tuple[str, str]]:
        """Role and accessible name of everything that a person can operate."""
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and any(p["name"] == "focusable" for p in node.get("properties", ()))
        ]

    def roles(self) -> set[str]:
        """The roles that occur in what screen readers get."""
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        return {node["role"]["value"] for node in nodes if not node["ignored"]}

    async def _navigate(self, url: str) -> None:
        self._is_loaded.clear()
        await self._send("Page.navigate", url=url)
        await asyncio.wait_for(self._is_loaded.wait(), DEADLINE_S)

    async def _leave(self, expression: str) -> None:
        self._is_loaded.clear()
        await self._send("Runtime.evaluate", expression=expression)
        await asyncio.wait_for(self._is_loaded.wait(), DEADLINE_S)

    async def _send(self, method: str, **arguments: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": arguments, **session})
        return await asyncio.wait_for(answer, DEADLINE_S)

    async def _listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if answer := self._answers.pop(said.get("id"), None):
                if "error" in said:
                    answer.set_exception(PageError(said["error"]["message"]))
                else:
                    answer.set_result(said["result"])
            elif said.get("method") == "Page.loadEventFired":
                self._is_loaded.set()
            elif complaint := _complaint(said.get("method"), said.get("params", {})):
                self.complaints.append(complaint)


def _complaint(method: str | None, said: Mapping[str, Any]) -> str | None:
    """What is wrong with the page; that a server is away is not."""
    if method == "Runtime.exceptionThrown":
        details = said["exceptionDetails"]
        return str(details.get("exception", {}).get("description", details["text"]))
    if method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
        return str([argument.get("value") for argument in said["args"]])
    if method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
        text = str(said["entry"]["text"])
        is_ours = said["entry"]["source"] == "network" and any(n in text for n in _NOISE)
        return None if is_ours else f"{text} {said['entry'].get('url', '')}"
    if method == "Audits.issueAdded" and "ContentSecurityPolicy" in said["issue"]["code"]:
        return json.dumps(said["issue"])
    return None


@contextmanager
def browsing(background: Background, folder: Path) -> Iterator[Page]:
    """A tab of a browser of its own, which ends with it; `folder` is for its profile."""
    assert CHROMIUM
    arguments = [CHROMIUM, *_ARGUMENTS[:-1], f"--user-data-dir={folder}", _ARGUMENTS[-1]]
    process = subprocess.Popen(
        arguments,
        env=os.environ | {"TZ": "UTC", "LANG": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        written = folder / "DevToolsActivePort"
        wait_until(lambda: written.exists() and written.read_text().count("\n"), "DevTools listens")
        port, path = written.read_text().splitlines()
        session, page = background.run(_connect(background, f"ws://127.0.0.1:{port}{path}"))
        try:
            yield page
        finally:
            background.run(_close(session))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)


async def _connect(background: Background, url: str) -> tuple[aiohttp.ClientSession, Page]:
    session = aiohttp.ClientSession()
    page = Page(background, await session.ws_connect(url, max_msg_size=0))
    await page.attach()
    return session, page


async def _close(session: aiohttp.ClientSession) -> None:
    await session.close()
