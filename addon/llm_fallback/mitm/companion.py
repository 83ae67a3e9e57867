"""Ties mitmproxy to the `llm-fallback run` that has started it for a command: a script beside the addon.

The two share a socket, whose descriptor is in the environment. One line of JSON comes through it when
requests are welcome; its end, whatever the reason, is the end of the proxy.
"""

import asyncio
import json
import os
import socket
from pathlib import Path

from mitmproxy import ctx, tls

from llm_fallback.runtime import DESCRIPTOR_VARIABLE


class Companion:
    """The proxy's end of the socket."""

    name = "llm-fallback-companion"

    def __init__(self, runner: socket.socket) -> None:
        self._runner = runner

    def running(self) -> None:
        """Say where the proxy is, and watch whether somebody is there to hear it."""
        if ctx.master.addons.get("errorcheck").logger.has_errored:
            return  # mitmproxy is about to end
        said = {
            "proxy": [list(address[:2]) for address in ctx.master.addons.get("proxyserver").listen_addrs()],
            "confdir": str(Path(ctx.options.confdir).expanduser()),
            "page": getattr(ctx.master, "web_url", None),
        }
        try:
            self._runner.sendall(json.dumps(said).encode() + b"\n")
        except OSError:
            self._end()
        else:
            asyncio.get_running_loop().add_reader(self._runner, self._end)

    def done(self) -> None:
        """Watch no more."""
        asyncio.get_running_loop().remove_reader(self._runner)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Pass on unread what is not managed, if nobody watches: its certificate is its own then."""
        address = data.context.server.address
        names = {data.client_hello.sni, address[0] if address else None}
        manages = ctx.master.addons.get("llm-fallback").manages_address
        if ctx.master.addons.get("dumper") and not any(name and manages(name) for name in names):
            data.ignore_connection = True

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._runner)
        ctx.master.shutdown()


def _of_this_process() -> list[Companion]:
    descriptor = os.environ.get(DESCRIPTOR_VARIABLE)
    return [Companion(socket.socket(fileno=int(descriptor)))] if descriptor else []


addons = _of_this_process()
