"""The commands as they are typed, and what flows tell them."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions, http, types
from mitmproxy.addons.view import View
from mitmproxy.log import ALERT
from mitmproxy.test import taddons, tflow

from llm_fallback.admin import Shown
from llm_fallback.config.destination import Destination
from llm_fallback.config.in_force import Configuration
from llm_fallback.config.routes import Route, RouteDestination, VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot, Target
from llm_fallback.events import Acted, Event
from llm_fallback.metrics import Metrics
from llm_fallback.mitm import attempt_flows
from llm_fallback.mitm.admin_page import AdminPage
from llm_fallback.mitm.commands import Commands
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.actions import Actions
from llm_fallback.upstream.engine import Engine
from tests.mitm.captured_flows import FAILED, FINE, REFUSED, ended, lost, managed

# mitmproxy calls pyparsing by names that newer versions deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated.*use:DeprecationWarning:(mitmproxy|pyparsing)")

A = Target("a.com", 80, (Endpoint("10.0.0.1", 443),))
B = Target("b.com", 80, (Endpoint("b.com", 443),))
RULE = Route("chat", "vs.yaml:8 VirtualService/vs", (RouteDestination(Destination("a.com")),))
SNAPSHOT = Snapshot(
    {each.host: Service(each.host, {(80, None): each}) for each in (A, B)},
    {"a.com": VirtualHost("vs", (RULE,))},
)


class Typed:
    """mitmproxy with the commands, an engine behind them, and what it has told."""

    def __init__(self, context: taddons.context) -> None:
        self.events: list[Event] = []
        self.engine = Engine(
            clock=lambda: 0.0, wall_clock=lambda: 0.0, rng=random.Random(0), on_event=self.events.append
        )
        self.engine.adopt(SNAPSHOT)
        self.snapshot = SNAPSHOT
        self.actions = Actions(self.engine, lambda: SNAPSHOT)
        self._master = context.master
        page = AdminPage(
            Shown(
                metrics=Metrics(),
                status=lambda: self.engine.status(SNAPSHOT),
                configuration=Configuration,
                snapshot=lambda: SNAPSHOT,
                clock=self.engine.clock,
                wall_clock=self.engine.wall_clock,
                overrides=self.engine.overrides,
            )
        )
        context.master.addons.add(Commands(self.actions, self.engine, lambda: self.snapshot, page.state))

    def view(self, *flows: http.HTTPFlow) -> None:
        """Have mitmproxy show flows."""
        view = View()
        self._master.addons.add(view)
        view.add(flows)

    def run(self, line: str) -> Any:
        """Type a line."""
        return self._master.commands.execute(line)

    def call(self, name: str, *arguments: object) -> Any:
        """Call a command, with a flow."""
        return self._master.commands.call(name, *arguments)

    def completions(self, line: str) -> list[str]:
        """What is offered for the last word."""
        parsed, _ = self._master.commands.parse_partial(line)
        word = parsed[-1]
        kind = types.CommandTypes.get(word.type)
        assert kind
        return list(kind.completion(self._master.commands, word.type, word.value))

    @property
    def help(self) -> dict[str, str | None]:
        """The help text of each command of ours."""
        return {n: c.help for n, c in self._master.commands.commands.items() if n.startswith("llm.")}

    @property
    def said(self) -> list[str]:
        """The actions that were told."""
        return [event.text for event in self.events if isinstance(event, Acted)]


def typing(scene: Callable[[Typed], None]) -> None:
    """Play a scene at mitmproxy's prompt."""

    async def main() -> None:
        with taddons.context() as context:
            scene(Typed(context))

    asyncio.run(main())


def refused(typed: Typed, line: str) -> str:
    """What is said of a line that cannot be."""
    with pytest.raises(exceptions.CommandError) as problem:
        typed.run(line)
    return str(problem.value)


def test_actions_are_typed() -> None:
    """Each is in the log as an event."""

    def scene(typed: Typed) -> None:
        for line in (
            "llm.eject a.com:80 --for 30s",
            "llm.eject b.com",
            "llm.return all",
            "llm.pin a.com b.com",
            "llm.fault a.com status 503 --percentage 50 --body 'too busy'",
            "llm.clear a.com",
            "llm.clear",
        ):
            assert typed.run(line) is None
        assert typed.said == [
            "ejected a.com:80 by hand for 30 s",
            "ejected b.com:80 by hand until it is returned",
            "returned a.com:80@10.0.0.1:443, b.com:80@b.com:443",
            "pinned a.com to b.com:80 until cleared",
            "fault 1 at a.com: status 503, 50 %",
            "cleared 1 fault and 1 pin at a.com",
        ]

    typing(scene)


def test_what_cannot_be_is_said_in_one_sentence() -> None:
    """As mitmproxy says its own errors."""

    def scene(typed: Typed) -> None:
        assert refused(typed, "llm.eject a.co:80").startswith("no target a.co:80 (did you mean a.com:80?)")
        assert refused(typed, "llm.eject a.com --for").startswith("write a time after the place")
        assert refused(typed, "llm.eject a.com 3").startswith("'3' is not a duration")
        assert refused(typed, "llm.pin c.com a.com").startswith("no managed host c.com")
        assert refused(typed, "llm.fault a.com rest").startswith("fault: no kind rest (did you mean reset?)")
        assert refused(typed, "llm.fault -f").startswith("-f: which file?")
        assert refused(typed, "llm.fault a.com -f /does/not/exist").startswith(
            "/does/not/exist cannot be read"
        )
        nobody = refused(typed, "llm.fault a.com -f ~nobody-at-all/x")
        assert nobody == "~nobody-at-all/x cannot be read (there is no such home folder)"
        assert typed.said == []

    typing(scene)


def test_the_status_is_shown() -> None:
    """Line by line, as the console's overlay wants it."""

    def scene(typed: Typed) -> None:
        typed.run("llm.eject a.com")
        typed.run("llm.pin a.com b.com")
        typed.run("llm.fault a.com:80 reset --percentage 50")
        assert typed.run("llm.status") == [
            "TARGET    ENDPOINT      STATE            RETURNS  ACTIVE  REQ  FAIL",
            "a.com:80  10.0.0.1:443  ejected by hand  by hand       0    0     0",
            "b.com:80  b.com:443     in rotation                    0    0     0",
            "",
            "pinned   a.com to b.com:80",
            "fault 1  a.com:80: reset, 50 %",
        ]

    typing(scene)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("llm.eject a", {"a.com", "a.com:80", "a.com:80@10.0.0.1:443", "b.com"}),
        ("llm.return a", {"all", "a.com:80"}),
        ("llm.pin a", {"a.com"}),
        ("llm.pin a.com b", {"a.com:80", "b.com:80"}),
        ("llm.fault a.com s", {"status", "hang", "--percentage", "-f"}),
        ("llm.clear a", {"all", "b.com"}),
    ],
)
def test_completions(line: str, offered: set[str]) -> None:
    """What there is, for each argument."""

    def scene(typed: Typed) -> None:
        assert offered <= set(typed.completions(line))

    typing(scene)


def test_every_command_has_a_help_text() -> None:
    """mitmproxy lists them with it."""

    def scene(typed: Typed) -> None:
        assert typed.help.keys() >= {
            f"llm.{name}"
            for name in ("status", "eject", "return", "pin", "fault", "clear", "explain", "export")
        }
        assert all(typed.help.values())

    typing(scene)


def test_explain() -> None:
    """With the health of now."""

    def scene(typed: Typed) -> None:
        typed.run("llm.eject a.com")
        lines = typed.call("llm.explain", [managed()])
        assert lines[0] == "Then: answered, 200"
        now = lines[lines.index("Now:") + 1 :]
        assert now[0] == "POST http://a.com/v1/chat/completions?a=b"
        assert any("vs.yaml:8" in line for line in lines)
        assert any("no healthy upstream" in line for line in lines)

    typing(scene)


def test_explain_begins_with_what_a_person_has_set() -> None:
    """And tells of the pinned target, not of the one that it takes the place of."""

    def scene(typed: Typed) -> None:
        for line in ("pin a.com b.com", "fault a.com reset", "fault b.com:80 status 503", "fault b.com hang"):
            typed.run(f"llm.{line}")
        lines = typed.call("llm.explain", [managed()])
        now = lines[lines.index("Now:") + 1 :]
        assert now[:4] == [
            "pinned   all requests for a.com go to b.com:80 until llm.clear",
            "injected fault 3 at b.com: hang, until llm.clear",
            "injected fault 2 at b.com:80: status 503, until llm.clear",
            "POST http://a.com/v1/chat/completions?a=b",
        ]
        assert "target   b.com:80, 1 endpoint, in rotation" in now
        assert not any("a.com:80" in line for line in now)

    typing(scene)


def test_explain_without_a_configuration() -> None:
    """Where flows are only looked at, nothing is made up."""

    def scene(typed: Typed) -> None:
        typed.snapshot = Snapshot()
        lines = typed.call("llm.explain", [managed()])
        assert lines[lines.index("Now:") + 1 :] == ["no configuration is loaded: nothing is managed"]

    typing(scene)


def test_explain_takes_a_request_with_its_attempts() -> None:
    """They have the same name in their comments; two requests are too many."""

    def scene(typed: Typed) -> None:
        client, attempt, another = managed(), lost(FAILED), managed()
        attempt.metadata[attempt_flows.METADATA]["of"] = client.id
        client.comment, attempt.comment = "chat | 1f2e3d4c", "attempt | 1f2e3d4c"
        typed.view(client, attempt, another)
        assert typed.run("llm.explain '~comment 1f2e3d4c'") == typed.call("llm.explain", [client])
        assert typed.run(f"llm.explain @{client.id}") == typed.call("llm.explain", [client])
        with pytest.raises(exceptions.CommandError, match="one flow is explained at a time; these are 2"):
            typed.run("llm.explain @all")
        with pytest.raises(exceptions.CommandError, match="there is no such flow; name one as @focus"):
            typed.run("llm.explain '~comment 99999999'")

    typing(scene)


def test_explain_needs_the_clients_own_flow() -> None:
    """One that shows an attempt leads to it, if it is there."""

    def scene(typed: Typed) -> None:
        with pytest.raises(exceptions.CommandError, match="shows an attempt"):
            typed.call("llm.explain", [lost(FAILED)])
        with pytest.raises(exceptions.CommandError, match="not one of HTTP"):
            typed.call("llm.explain", [tflow.ttcpflow()])
        assert "not managed" in "".join(typed.call("llm.explain", [tflow.tflow()]))

    typing(scene)


def test_what_a_client_was_saved_from_is_exported_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From the flow of the failed attempt, if it is in view; mitmproxy shows that it is done."""
    caplog.set_level(ALERT)
    file = tmp_path / "fault.json"

    def scene(typed: Typed) -> None:
        client, attempt = managed(ended(REFUSED, FINE)), lost(REFUSED, body=b"too busy")
        attempt.metadata[attempt_flows.METADATA]["of"] = client.id
        other = lost(replace(REFUSED, began_s=0.1), body=b"another")
        other.metadata[attempt_flows.METADATA]["of"] = client.id
        typed.call("llm.export", client, str(file))
        assert "body" not in json.loads(file.read_text())
        typed.view(client, other, attempt, lost(REFUSED, body=b"another's"))
        typed.call("llm.export", client, str(file))
        assert json.loads(file.read_text())["body"] == "too busy"
        assert caplog.record_tuples[-1] == ("llm-fallback", ALERT, f"wrote status at a.com:80 to {file}")

    typing(scene)


def test_what_is_exported_can_be_injected(tmp_path: Path) -> None:
    """At the same place, or at another one."""
    file = tmp_path / "fault.json"

    def scene(typed: Typed) -> None:
        typed.call("llm.export", lost(REFUSED, body=b"no"), str(file))
        typed.run(f"llm.fault -f {file}")
        typed.run(f"llm.fault b.com -f {file}")
        assert typed.said == [
            "fault 1 at a.com:80: status 503 after 0.25 s",
            "fault 2 at b.com: status 503 after 0.25 s",
        ]
        with pytest.raises(exceptions.CommandError, match="cannot be written"):
            typed.call("llm.export", lost(REFUSED), str(tmp_path / "no" / "folder"))

    typing(scene)
