"""The hooks: guard, translate, ask, apply."""

import gc
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import assert_never
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import command, ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client
from mitmproxy.log import ALERT
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from llm_fallback import runtime, story
from llm_fallback.admin import Shown
from llm_fallback.config import Snapshot
from llm_fallback.config.in_force import Configuration, Sources
from llm_fallback.config.workload import parse_labels
from llm_fallback.events import Acted, Ejected, Event, Handled, Returned
from llm_fallback.history import History, Kind
from llm_fallback.local_replies import INTERNAL_ERROR
from llm_fallback.metrics import Metrics
from llm_fallback.mitm import (
    attempt_flows,
    confinement,
    contentviews,
    flows,
    hangup,
    options,
    quotations,
    virtual_upstream,
)
from llm_fallback.mitm.admin_page import AdminPage, PageActions
from llm_fallback.mitm.attempt_flows import AttemptFlows
from llm_fallback.mitm.carriage import Carriage
from llm_fallback.mitm.commands import Commands
from llm_fallback.mitm.reload import NOTHING_LOADED, BadConfigurationError, Reloader, managing
from llm_fallback.mitm.retention import Retention
from llm_fallback.telemetry import BadTelemetryError, Reporters
from llm_fallback.upstream.defects import report, tell
from llm_fallback.upstream.engine import Engine

logger = logging.getLogger("llm-fallback")


class LLMFallback:
    """The addon."""

    name = "llm-fallback"

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        # Beside the flow and not in it: nothing that is made from a flow can hold it, and it goes with it.
        self._held: WeakKeyDictionary[http.HTTPFlow, flows.Held] = WeakKeyDictionary()
        rng = random.Random()  # noqa: S311 - it balances load, it protects nothing
        self._engine = Engine(clock=time.monotonic, wall_clock=time.time, rng=rng, on_event=self._tell)
        self._reloader = Reloader(adopt=self._adopt, refused=self._refused, wall_clock=time.time)
        self._actions = PageActions(self._engine, lambda: self._snapshot, self._reloader)
        self._metrics = Metrics()
        self._history = History()
        self._reporters = Reporters(time.time)
        self._page = AdminPage(self._shown())
        self._commands = Commands(self._actions, self._engine, lambda: self._snapshot, self._page.state)
        self._tls_ended_here: WeakSet[Client] = WeakSet()
        self._uninstall: list[Callable[[], None]] = []
        self._attempts: AttemptFlows | None = None
        self._retention = Retention()
        self._is_running = False

    @property
    def configuration(self) -> Configuration:
        """What is in force, and whether the last edit is."""
        return self._reloader.configuration

    def load(self, loader: Loader) -> None:
        """Declare the options, and take the place of mitmproxy's upstream connections."""
        options.declare(loader)
        # Not as addons of their own: mitmproxy would offer them every event of every request.
        ctx.master.commands.collect_commands(self._commands)
        master = ctx.master
        self._uninstall = [
            virtual_upstream.install(self),
            quotations.install(),
            contentviews.install(),
            hangup.install(
                master.event_loop,
                on_demand=self._reloader.demand,
                on_terminal_closed=master.shutdown,
                at_once=self._page.forget,
            ),
        ]

    def configure(self, updated: set[str]) -> None:
        """Check what was set; a bad value changes nothing and says why."""
        try:
            _refuse_what_leaks_or_bypasses(updated)
            if "llm_watch" in updated:
                self._reloader.watch(is_on=options.is_true("llm_watch", ctx.options.llm_watch))
            if "llm_attempts" in updated:
                shows = options.is_true("llm_attempts", ctx.options.llm_attempts)
                self._attempts = AttemptFlows() if shows else None
            if "llm_view_mb" in updated:
                self._retention.limit = options.megabytes("llm_view_mb", ctx.options.llm_view_mb)
            if "llm_admin" in updated:
                self._page.show_at(options.address(ctx.options.llm_admin))
            self._configure_reporters(updated)
            if updated & {"llm_config", "llm_workload"}:
                self._configure(ctx.options.llm_config, ctx.options.llm_workload)
        except exceptions.OptionsError as error:
            if self._is_running:
                raise  # mitmproxy takes the change back and shows the message
            for line in str(error).splitlines():
                logger.error(line)  # noqa: TRY400 - a message, no traceback; it ends the start with status 1

    def running(self) -> None:
        """From now on, a bad option is taken back; until now, it ended the start."""
        self._is_running = True
        said = os.environ.get(runtime.OPTIONS_VARIABLE, "")
        for told, is_fatal in options.unknown(ctx.options.deferred, ctx.options.keys(), said):
            logger.log(logging.ERROR if is_fatal else logging.WARNING, told)
        self._reloader.start()
        self._page.start()
        gc.collect()
        gc.freeze()  # what was loaded at start stays: the collector need not look at it again and again

    def done(self) -> None:
        """Leave mitmproxy as it was, unless it ends."""
        self._reloader.stop()
        self._page.stop()
        self._reporters.close()
        gc.unfreeze()
        if ctx.master.should_exit.is_set():
            # mitmproxy still serves clients: what is managed goes nowhere now, and never where they say.
            self._engine.close()
            return
        for uninstall in self._uninstall:
            uninstall()
        self._uninstall = []

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Take the client's credentials out of a managed flow before anything else can see them."""
        if flow.is_replay and attempt_flows.METADATA in flow.metadata:
            flow.response = http.Response.make(409, attempt_flows.NOT_A_REQUEST)
            return
        try:
            host = flows.managed_host(flow, self._snapshot)
            if host:
                self._held[flow] = flows.hold_credentials(flow, self._snapshot, host)
                flow.metadata.pop("proxyauth", None)  # user and password of `proxyauth`, which would be saved
        except Exception as error:  # noqa: BLE001 - fail closed: mitmproxy would log it and send the request on
            report(error)
            flow.response = http.Response.make(INTERNAL_ERROR.status, INTERNAL_ERROR.body)
            return
        if flow.client_conn in self._tls_ended_here:
            flow.request.scheme = "https"  # even if the host is not managed any more
        if host:
            # The body is read whole: the model is in it, and a retry sends it again.
            flow.request.stream = False

    def request(self, flow: http.HTTPFlow) -> None:
        """Take the trailers out of a managed flow: nobody gets them, and a credential may be among them."""
        if flow in self._held:
            flow.request.data.trailers = None

    def response(self, flow: http.HTTPFlow) -> None:
        """Show what is kept of a managed answer, forget the rest, and keep the view within its bound."""
        held = self._held.pop(flow, None)
        if held and held.answer:
            held.answer.show_in(flow)
        self._retention.ended(flow)

    error = response

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Accept CONNECT to a managed host without opening a connection to it."""
        if self._snapshot.manages(flow.request.host):
            flow.response = http.Response.make(200)
            flow.response.headers.clear()
            flow.response.reason = "Connection established"

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Answer a client's TLS for a managed host without asking the host first."""
        server = data.context.server
        if server.address and self._snapshot.manages(server.address[0]):
            server.tls = False  # or mitmproxy connects now to learn what the host's TLS is like
            self._tls_ended_here.add(data.context.client)

    def next_layer(self, asked: NextLayer) -> None:
        """Leave a client no way around the rules of a managed host."""
        confinement.take_for_http(asked, self._snapshot)

    def server_connect(self, connecting: ServerConnectionHookData) -> None:
        """Open no connection to a managed host, whoever wants one."""
        confinement.refuse(connecting, self._snapshot)

    def server_connected(self, connection: ServerConnectionHookData) -> None:
        """Tell the admin page who might come to it through the proxy."""
        self._page.server_connected(connection)

    def server_disconnected(self, connection: ServerConnectionHookData) -> None:
        """Tell the admin page who will not."""
        self._page.server_disconnected(connection)

    def carrier(self, flow: http.HTTPFlow) -> Carriage | None:
        """Who carries the flow: decided by the host that it has now, when all addons have seen it."""
        held = self._held.get(flow)
        snapshot = held.snapshot if held else self._snapshot
        host = flows.managed_host(flow, snapshot)
        if host is None:
            if held:
                flows.drop_placeholders(flow)
            return None
        if held is None:  # another addon has sent it here; its answer is kept like any other
            held = self._held[flow] = flows.hold_credentials(flow, snapshot, host)
        return Carriage(self._engine, flow, held, host, self._attempts)

    def manages_address(self, host: str) -> bool:
        """Whether mitmproxy never opens connections to the host itself."""
        return self._snapshot.manages(host)

    @command.command("llm.reload")  # type: ignore[untyped-decorator]  # it is mitmproxy's
    def reload(self) -> None:
        """Load the mesh files of llm_config again, as saving one does; the log says what came of it."""
        self._reloader.demand()

    def _configure_reporters(self, updated: set[str]) -> None:
        try:
            if "llm_access_log" in updated:
                self._reporters.set_access_log(ctx.options.llm_access_log)
            if "llm_ejection_log" in updated:
                self._reporters.set_ejection_log(ctx.options.llm_ejection_log)
            if "llm_otel" in updated:
                is_on = options.is_true("llm_otel", ctx.options.llm_otel)
                self._reporters.set_otel(os.environ if is_on else None)
        except BadTelemetryError as error:
            raise exceptions.OptionsError(str(error)) from None

    def _configure(self, places: str, workload: str) -> None:
        paths = tuple(Path(place.strip()).expanduser() for place in places.split(",") if place.strip())
        try:
            labels = parse_labels(workload)
        except ValueError as error:
            raise exceptions.OptionsError(f"llm_workload: {error}") from None
        try:
            self._reloader.switch_to(Sources(paths, labels))
        except BadConfigurationError as error:
            if ctx.options.server or self._is_running:
                raise exceptions.OptionsError(str(error)) from None
            # Somebody only looks at saved flows, which tell their story themselves.
            if any(path.exists() for path in paths):
                logger.warning("no configuration is loaded: %s", error)
            else:
                logger.info(NOTHING_LOADED)

    def _refused(self, told: str) -> None:
        self._history.note(Kind.RELOAD, told, self._engine.wall_clock())

    def _adopt(self, snapshot: Snapshot) -> None:
        self._engine.adopt(snapshot)
        targets = snapshot.targets()
        self._metrics.adopt(targets)
        self._history.adopt(map(str, targets))
        self._snapshot = snapshot
        told = managing(snapshot)
        self._history.note(Kind.RELOAD, told, self._engine.wall_clock())
        logger.info(told)

    def _shown(self) -> Shown:
        return Shown(
            metrics=self._metrics,
            status=lambda: self._engine.status(self._snapshot),
            configuration=lambda: self.configuration,
            snapshot=lambda: self._snapshot,
            clock=self._engine.clock,
            wall_clock=self._engine.wall_clock,
            history=self._history,
            overrides=self._engine.overrides,
            actions=self._actions,
        )

    def _tell(self, event: Event) -> None:
        for listener in (self._metrics.take, self._reporters.take, self._note, _log):
            tell(listener, event)

    def _note(self, event: Event) -> None:
        self._history.take(event, self._engine.wall_clock())


def _refuse_what_leaks_or_bypasses(updated: set[str]) -> None:
    if "mode" in updated and any(mode.startswith("upstream:") for mode in ctx.options.mode):
        raise exceptions.OptionsError(
            "mode upstream: is not supported: requests to managed hosts would not go through that proxy"
        )
    if "proxy_debug" in updated and ctx.options.proxy_debug:
        raise exceptions.OptionsError(
            "proxy_debug is not supported: it logs every byte that clients send, their keys included"
        )


def _print(line: str) -> None:
    """Say a line among the flows.

    mitmdump's dumper prints it as it prints flows, so that `flow_detail` and `-q` silence both; a log record,
    which mitmproxy offers to all its addons, costs as much as two of its hooks. Elsewhere it is logged.
    """
    dumper = ctx.master.addons.get("dumper")
    if dumper is None:
        logger.info(line)
    elif ctx.options.flow_detail > 0:
        print(line, file=dumper.outfp, flush=True)


def _log(event: Event) -> None:
    match event:
        case Handled():
            _print(story.handled(event))
        case Ejected():
            logger.warning(story.ejected(event))
        case Returned():
            logger.info(story.returned(event))
        case Acted():
            logger.log(ALERT, story.acted(event))  # mitmproxy shows it below the flows
        case _:
            assert_never(event)


addons = [LLMFallback()]
"""The one of this process: mitmproxy loads a script anew when its file changes, and health survives that."""
