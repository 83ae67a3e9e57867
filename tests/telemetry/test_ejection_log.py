"""Ejections as Envoy writes them; the first four lines are a real Envoy's, but for names and times."""

from dataclasses import replace
from typing import Any

import pytest

from llm_fallback.events import Ejected, Returned
from llm_fallback.telemetry.ejection_log import EjectionLog
from tests.telemetry.events import AT, ejected

RETURNED = Returned("a.com", 80, "10.0.0.1:443", 1.0)
CLUSTER = {"cluster_name": "outbound|80||a.com", "upstream_url": "10.0.0.1:443"}


def test_an_endpoint_that_comes_and_goes() -> None:
    """Counts, and the seconds since the entry before."""
    log = EjectionLog()
    events: list[tuple[Ejected | Returned, float]] = [
        (ejected(), 0.0),
        (RETURNED, 1.5),
        (ejected(), 2.75),
        (RETURNED, 13.0),
    ]

    entries = [log.entry(event, at_s=AT + after) for event, after in events]

    out = {"type": "CONSECUTIVE_5XX", **CLUSTER, "action": "EJECT", "enforced": True}
    back = {"type": "CONSECUTIVE_5XX", **CLUSTER, "action": "UNEJECT", "enforced": False}
    cause: dict[str, Any] = {"eject_consecutive_event": {}}
    assert entries == [
        {**out, "timestamp": "2023-11-14T22:13:20.250Z", "num_ejections": 1, **cause},
        {**back, "timestamp": "2023-11-14T22:13:21.750Z", "secs_since_last_action": "1", "num_ejections": 1},
        {
            **out,
            "timestamp": "2023-11-14T22:13:23.000Z",
            "secs_since_last_action": "1",
            "num_ejections": 2,
            **cause,
        },
        {**back, "timestamp": "2023-11-14T22:13:33.250Z", "secs_since_last_action": "10", "num_ejections": 2},
    ]
    assert list(entries[2] or ()) == [
        *("type", "timestamp", "secs_since_last_action", "cluster_name", "upstream_url", "action"),
        *("num_ejections", "enforced", "eject_consecutive_event"),
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(
            ejected("consecutive gateway errors"),
            {"type": "CONSECUTIVE_GATEWAY_FAILURE", "eject_consecutive_event": {}},
            id="gateway",
        ),
        pytest.param(
            ejected("consecutive local origin failures"),
            {"type": "CONSECUTIVE_LOCAL_ORIGIN_FAILURE", "eject_consecutive_event": {}},
            id="local origin",
        ),
        pytest.param(
            ejected("by hand", duration_s=float("inf")),
            {"type": "EXTENSION", "eject_extension_event": {"monitor_name": "llm-fallback: by hand"}},
            id="by hand",
        ),
        pytest.param(
            ejected("asked by the provider"),
            {
                "type": "EXTENSION",
                "eject_extension_event": {"monitor_name": "llm-fallback: asked by the provider"},
            },
            id="asked for",
        ),
        pytest.param(ejected(subset="v1"), {"cluster_name": "outbound|80|v1|a.com"}, id="subset"),
    ],
)
def test_kinds(event: Ejected, expected: dict[str, Any]) -> None:
    """What Envoy has no type for is an extension's."""
    assert (EjectionLog().entry(event, at_s=AT) or {}).items() >= expected.items()


def test_an_endpoint_that_goes_while_it_is_ejected() -> None:
    """Nothing is written of it, and what has its address later is another one."""
    log = EjectionLog()
    first = log.entry(ejected(), at_s=AT)

    assert log.entry(replace(RETURNED, is_gone=True), at_s=AT + 1) is None
    assert log.entry(ejected(), at_s=AT) == first


def test_what_is_remembered_is_bounded() -> None:
    """Of addresses that change for ever, the oldest is forgotten."""
    log = EjectionLog()
    for number in range(10_001):
        log.entry(ejected(endpoint=f"10.0.0.1:{number}"), at_s=AT)

    again = [log.entry(ejected(endpoint=f"10.0.0.1:{number}"), at_s=AT) for number in (10_000, 0)]
    assert [entry and entry["num_ejections"] for entry in again] == [2, 1]
