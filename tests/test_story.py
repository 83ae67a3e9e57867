"""The lines that people read."""

import json
from dataclasses import replace

import pytest

from llm_fallback.events import Attempted, Ejected, Handled, Returned
from llm_fallback.mitm import story

FIRST = Handled(
    method="POST",
    host="asm-llm-provider-test.com",
    route="fallback-route",
    target="asm-llm-provider-test.com:80",
    instead_of=None,
    attempts=(
        Attempted("asm-llm-provider-test.com:80", "127.0.0.1:9", "connect-failure", 0.0012),
        Attempted("asm-llm-provider-test.com:80", None, "no healthy upstream", 0.0),
    ),
    status=503,
    flags=("UH",),
    duration_s=0.0154,
    source="vs.yaml:8 VirtualService/vs",
)
SECOND = Handled(
    method="POST",
    host="asm-llm-provider-test.com",
    route="fallback-route",
    target="dashscope.aliyuncs.com:80",
    instead_of="asm-llm-provider-test.com:80",
    attempts=(Attempted("dashscope.aliyuncs.com:80", "127.0.0.1:8443", "200", 0.035),),
    status=200,
    flags=(),
    duration_s=0.0364,
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        pytest.param(
            FIRST,
            "POST asm-llm-provider-test.com fallback-route -> asm-llm-provider-test.com:80"
            " | 127.0.0.1:9: connect-failure in 1 ms, then no healthy upstream | 503 UH in 15 ms",
            id="the-tutorials-first-request",
        ),
        pytest.param(
            SECOND,
            "POST asm-llm-provider-test.com fallback-route -> dashscope.aliyuncs.com:80"
            " instead of asm-llm-provider-test.com:80, which is ejected"
            " | 127.0.0.1:8443: 200 in 35 ms | 200 in 36 ms",
            id="the-tutorials-second-request",
        ),
        pytest.param(
            replace(SECOND, status=None, flags=("DC",), attempts=(), instead_of=None),
            "POST asm-llm-provider-test.com fallback-route -> dashscope.aliyuncs.com:80"
            " | no attempt | no answer DC in 36 ms",
            id="the-client-left",
        ),
        pytest.param(
            replace(FIRST, flags=("UF", "URX"), attempts=FIRST.attempts[:1]),
            "POST asm-llm-provider-test.com fallback-route -> asm-llm-provider-test.com:80"
            " | 127.0.0.1:9: connect-failure in 1 ms | 503 UF,URX in 15 ms",
            id="two-flags",
        ),
    ],
)
def test_handled(event: Handled, line: str) -> None:
    """Route, target, attempts with outcome and duration, status, flags; the comment is its middle part."""
    assert story.handled(event) == line
    assert story.summary(event) in line


def test_summary() -> None:
    """The comment on the flow says why it went where it went."""
    assert story.summary(SECOND) == (
        "fallback-route -> dashscope.aliyuncs.com:80"
        " instead of asm-llm-provider-test.com:80, which is ejected | 127.0.0.1:8443: 200 in 35 ms"
    )


@pytest.mark.parametrize(
    ("duration_s", "written"),
    [pytest.param(10.0, "10 s", id="seconds"), pytest.param(0.5, "0.5 s", id="half-a-second")],
)
def test_ejected(duration_s: float, written: str) -> None:
    """Who, for how long, and why."""
    event = Ejected("a.com", 80, "10.0.0.1:443", "consecutive 5xx", duration_s, 2)

    assert (
        story.ejected(event)
        == f"ejected a.com:80 endpoint 10.0.0.1:443 for {written} (consecutive 5xx, multiplier 2)"
    )


def test_returned() -> None:
    """Who, and after how long."""
    assert (
        story.returned(Returned("a.com", 80, "10.0.0.1:443", 10.875))
        == "returned a.com:80 endpoint 10.0.0.1:443 after 10.9 s"
    )


def test_as_data() -> None:
    """Plain values, which a saved flow can hold and give back."""
    data = story.as_data(FIRST)

    assert data == {
        "route": "fallback-route",
        "source": "vs.yaml:8 VirtualService/vs",
        "host": "asm-llm-provider-test.com",
        "target": "asm-llm-provider-test.com:80",
        "instead_of": None,
        "attempts": [
            {"endpoint": "127.0.0.1:9", "result": "connect-failure", "duration_s": 0.0012},
            {"endpoint": None, "result": "no healthy upstream", "duration_s": 0.0},
        ],
        "status": 503,
        "flags": ["UH"],
        "duration_s": 0.0154,
    }
    assert json.loads(json.dumps(data)) == data


def test_as_data_without_a_rule() -> None:
    """A request that no rule took has no place in a file."""
    assert story.as_data(SECOND)["source"] is None


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        pytest.param([], "", id="none"),
        pytest.param(["a.com", "b.com"], "a.com, b.com", id="a-few"),
        pytest.param([str(n) for n in range(10)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9", id="a-line-full"),
        pytest.param(
            [str(n) for n in range(12)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more hosts", id="too-many"
        ),
    ],
)
def test_some_hosts(hosts: list[str], line: str) -> None:
    """As many as a line holds are named, and the others are counted."""
    assert story.some_of(hosts) == line
