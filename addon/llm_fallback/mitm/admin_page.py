"""The admin page beside mitmproxy: where it listens, who must not see it, and how other programs find it."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mitmproxy import ctx
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from llm_fallback import runtime
from llm_fallback.admin import Address, Listener, Shown, application, state
from llm_fallback.config.snapshot import Snapshot
from llm_fallback.mitm.reload import Reloader, managing
from llm_fallback.runtime import Runtime
from llm_fallback.upstream.actions import Actions, BadActionError
from llm_fallback.upstream.engine import Engine

logger = logging.getLogger("llm-fallback")


class PageActions(Actions):
    """The actions, and `reload`, which is the addon's."""

    def __init__(self, engine: Engine, snapshot: Callable[[], Snapshot], reloader: Reloader) -> None:
        super().__init__(engine, snapshot)
        self._reloader = reloader

    async def reload(self) -> str:
        """Load the configuration again. Raises BadActionError if it has errors and changes nothing."""
        if problem := await self._reloader.load():
            raise BadActionError(problem)
        return managing(self._snapshot())


class AdminPage:
    """Shows what it is given where it is wanted, from `start` to `stop`; the addon hands it two hooks."""

    def __init__(self, shown: Shown) -> None:
        self._through_the_proxy: set[int] = set()
        self._shown = replace(
            shown,
            token=runtime.new_token(),
            not_from=self._through_the_proxy,
            proxy=_proxy_addresses,
            version=_version(),
            started_at=shown.wall_clock(),
        )
        self._address: Address | None = None
        self._listener: Listener | None = None
        self._known_as: Runtime | None = None
        self._is_started = False

    def state(self) -> Mapping[str, Any]:
        """What `/api/state` tells, whether or not the page is shown."""
        return state.state(self._shown) | state.past(self._shown.history)

    def show_at(self, address: Address | None) -> None:
        """Where it is wanted from now on; None is nowhere."""
        # The same again comes when mitmproxy takes another value back.
        is_new = address != self._address or not self._listener
        self._address = address
        if self._is_started and is_new:
            self._listen()

    def start(self) -> None:
        """Listen, now that the event loop runs."""
        self._is_started = True
        self._listen()

    def stop(self) -> None:
        """Listen no more."""
        if self._listener:
            self._listener.close()
            self._listener = None
        self.forget()

    def forget(self) -> None:
        """Remove the file by which other programs find the page, with its token."""
        if self._known_as:
            try:
                runtime.remove(self._known_as)
            except OSError as error:
                logger.warning("admin page: its file stays behind: %s", _reason(error))
            self._known_as = None

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Note who might come to the page through the proxy, whose clients may be anybody."""
        peer, own = data.server.peername, data.server.sockname
        if self._listener and peer and own and peer[1] == self._listener.address.port:
            self._through_the_proxy.add(own[1])

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        """Its port may soon be somebody else's."""
        if data.server.sockname:
            self._through_the_proxy.discard(data.server.sockname[1])

    def _listen(self) -> None:
        """Serve the page where it is wanted; the proxy does without it if that cannot be."""
        self.stop()
        if self._address is None:
            return
        try:
            self._listener = Listener(application(self._shown), self._address)
        except OSError as error:
            logger.warning("llm_admin: no admin page at %s: %s", self._address, _reason(error))
            return
        self._make_known(str(self._listener.address))
        logger.info("admin page at http://%s", self._listener.address)

    def _make_known(self, address: str) -> None:
        shown = self._shown
        here = Runtime(os.getpid(), tuple(shown.proxy()), address, shown.token, shown.started_at)
        try:
            runtime.write(here)
        except OSError as error:
            logger.warning("admin page: llm-fallback status will not find it: %s", _reason(error))
        else:
            self._known_as = here


def _proxy_addresses() -> Sequence[str]:
    server = ctx.master.addons.get("proxyserver")
    return [str(Address(*address[:2])) for address in server.listen_addrs()] if server else []


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "it cannot be"


def _version() -> str:
    try:
        return version("asm-llm-fallback")
    except PackageNotFoundError:  # run from a checkout
        return ""
