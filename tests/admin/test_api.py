"""What programs get: the state, as docs/admin.md has it."""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import Action, Redirect, Route, RouteDestination, VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot
from llm_fallback.history import STEPS, Kind
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides import Overrides, Place, fault_of
from llm_fallback.status import EndpointStatus, TargetStatus
from tests.admin.serving import E1, E2, LOGICAL, NOW, OUT, TOKEN, A, ask, example

SNAPSHOT = Snapshot(
    virtual_hosts={"chat.example.com": VirtualHost("chat", ())},
    wildcards={".example.org": VirtualHost("wild", ()), "": VirtualHost("all", ())},
)
JSON = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}


def test_the_state() -> None:
    """Each part by its name."""
    overrides = Overrides()
    overrides.pins["a.com"] = ("b.com", 80, "v1")
    fault = fault_of({"kind": "status", "status": 503, "percentage": 50, "count": 3})
    overrides.inject(Place.parse("a.com:80"), fault)

    told = ask("/api/state", shown=example(snapshot=lambda: SNAPSHOT, overrides=overrides)).json

    assert {name: told[name] for name in ("now", "version", "started_at", "proxy", "hosts")} == {
        "now": NOW,
        "version": "1.2.3",
        "started_at": NOW - 60,
        "proxy": ["127.0.0.1:8080"],
        "hosts": ["chat.example.com", "*.example.org", "*"],
    }
    assert told["configuration"].keys() == {"sources", "workload", "loaded_at", "is_current", "findings"}
    assert told["pins"] == [{"host": "a.com", "target": "b.com:80/v1"}]
    [fault_told] = told["faults"]
    assert fault_told == {"id": 1, "place": "a.com:80", "text": str(overrides.faults[0])}
    assert set(told) == {
        *("now", "version", "started_at", "proxy", "configuration", "hosts", "targets", "pins", "faults"),
        *("series", "timeline", "decisions"),
    }


def test_a_target() -> None:
    """What it is, what was counted for it, and its endpoints."""
    first, second = ask("/api/state").json["targets"]

    endpoints = first.pop("endpoints")
    assert first == {
        "name": "a.com:80",
        "host": "a.com",
        "port": 80,
        "subset": None,
        "cluster": "outbound|80||a.com",
        "tls": True,
        "sni": "sni.a.com",
        "model": "qwen",
        "has_outlier_detection": True,
        "fallback": None,
        "in_rotation": False,
        "requests": 1,
        "failures": 1,
        "fallbacks_away": 1,
    }
    assert endpoints[0] == {
        "address": "10.0.0.1:443",
        "state": "ejected",
        "reason": "consecutive 5xx",
        "returns_in_s": 8.0,
        "multiplier": 1,
        "in_a_row": {"consecutive 5xx": 2},
        "connections": 0,
        "active_requests": 0,
        "pending_requests": 0,
        "weight": 3,
    }
    assert (second["name"], second["sni"], second["model"], second["in_rotation"]) == (
        "b.com:80/v1",
        None,
        None,
        True,
    )


def test_the_fallback_of_a_target() -> None:
    """As the first rule has it that has one; a rule may lead nowhere, or redirect."""
    to_a, to_b = Destination("a.com", 80), Destination("b.com", 80, "v1")
    actions: list[Action] = [
        Redirect(),
        (RouteDestination(Destination("nowhere")),),
        (RouteDestination(to_a, fallback=Destination("nowhere")), RouteDestination(to_b)),
        (RouteDestination(to_a, fallback=to_b),),
        (RouteDestination(to_a, fallback=to_a),),
    ]
    routes = tuple(Route("r", "vs.yaml:1", action) for action in actions)
    services = {each.host: Service(each.host, {(80, each.subset): each}) for each in (A, LOGICAL)}
    snapshot = Snapshot(services, wildcards={".com": VirtualHost("com", routes)})

    first, second = ask("/api/state", shown=example(snapshot=lambda: snapshot)).json["targets"]

    assert (first["fallback"], second["fallback"]) == ("b.com:80/v1", None)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (EndpointStatus(E1), ("in rotation", None, None)),
        (EndpointStatus(E1, state=OUT), ("ejected", "consecutive 5xx", 8.0)),
        (EndpointStatus(E1, state=OUT, by_hand_until=math.inf), ("ejected by hand", "consecutive 5xx", None)),
        (EndpointStatus(E1, by_hand_until=5.0), ("ejected by hand", None, 2.0)),
        (EndpointStatus(E2, held_until=9.0), ("held", "asked by the provider", 6.0)),
        (EndpointStatus(Endpoint("c.com", 1), held_until=1.0), ("held", "asked by the provider", 0.0)),
    ],
)
def test_an_endpoint(status: EndpointStatus, told: tuple[str, str | None, float | None]) -> None:
    """Who has taken it out, and for how long; nothing if that is until it is returned."""
    shown = example(status=lambda: [TargetStatus(A, (status,))])
    [[endpoint]] = [target["endpoints"] for target in ask("/api/state", shown=shown).json["targets"]]
    assert (endpoint["state"], endpoint["reason"], endpoint["returns_in_s"]) == told


def test_what_happened() -> None:
    """Decisions and the timeline, the newest first, and the figures of the last ten minutes."""
    shown = example()
    shown.history.note(Kind.RELOAD, "managing a.com", NOW + 1)
    told = ask("/api/state", shown=shown).json

    assert told["timeline"] == [
        {"id": 3, "at": NOW + 1, "kind": "reload", "target": None, "text": "managing a.com"},
        {
            "id": 2,
            "at": NOW,
            "kind": "fallback",
            "target": "a.com:80",
            "text": "b.com:80/v1 instead of a.com:80, which is ejected",
        },
        {
            "id": 1,
            "at": NOW,
            "kind": "ejected",
            "target": "a.com:80",
            "text": "ejected a.com:80 endpoint 10.0.0.1:443 for 30 s (consecutive 5xx, multiplier 1)",
        },
    ]
    [decision] = told["decisions"]
    assert decision["text"].startswith(
        "r -> b.com:80/v1 instead of a.com:80, which is ejected | 10.0.0.1:443: 503"
    )
    assert (decision["id"], decision["at"], decision["status"]) == ("d1", NOW, 200)
    assert [attempt["result"] for attempt in decision["attempts"]] == ["503", "200"]
    series = told["series"]
    assert (series["step_s"], len(series["at"]), series["at"][-1]) == (5, STEPS, NOW - 1)
    assert series["targets"]["a.com:80"].keys() == {"requests", "failures", "p50_ms", "p95_ms"}
    assert series["targets"]["a.com:80"]["failures"][-1] == 1


def test_a_request_without_an_id() -> None:
    """Each decision has one of its own all the same."""
    shown = example()
    [first] = shown.history.decisions()
    for _ in range(2):
        shown.history.take(replace(first.event, id=""), NOW)
    told = ask("/api/state", shown=shown).json
    assert len({decision["id"] for decision in told["decisions"]}) == 3


def test_the_state_of_a_proxy_that_manages_nothing() -> None:
    told = ask("/api/state", shown=example(status=list)).json
    assert (told["hosts"], told["targets"], told["pins"], told["faults"]) == ([], [], [], [])


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The one whose level can be changed; it gets the one back that it had."""
    found = logging.getLogger("llm-fallback")
    before = found.level
    found.setLevel(logging.INFO)
    yield found
    found.setLevel(before)


@pytest.mark.parametrize(
    ("query", "level", "told"),
    [
        ("level=debug", logging.DEBUG, "debug"),
        ("llm-fallback=error", logging.ERROR, "error"),
        ("level=off", 60, "off"),
    ],
)
def test_the_level_of_the_log(query: str, level: int, told: str, logger: logging.Logger) -> None:
    """As Envoy lists and changes it."""
    assert ask("/logging").text == "active loggers:\n  llm-fallback: info\n"

    got = ask(f"/logging?{query}", method="POST", headers=JSON)

    assert (got.status, got.text) == (200, f"active loggers:\n  llm-fallback: {told}\n")
    assert logger.level == level


@pytest.mark.parametrize(
    ("query", "headers", "status", "told"),
    [
        ("level=loud", JSON, 400, "no such level; there are trace, debug, info, "),
        ("mitmproxy=debug", JSON, 400, "no such logger; there is llm-fallback"),
        ("level=debug", {}, 403, "not allowed: "),
        ("level=debug", {"Content-Type": "application/json"}, 403, "not allowed: "),
    ],
)
def test_a_level_that_cannot_be(
    query: str, headers: dict[str, str], status: int, told: str, logger: logging.Logger
) -> None:
    """Nor can that of any other logger: what others log may hold keys."""
    got = ask(f"/logging?{query}", method="POST", headers=headers)
    assert got.status == status
    assert got.text.startswith(told)
    assert logger.level == logging.INFO
