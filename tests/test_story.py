"""The lines that people read."""

import json
from dataclasses import replace
from typing import Any

import pytest

from llm_fallback import story
from llm_fallback.events import Answer, Attempted, Ejected, Figures, Handled, Received, Rescued, Returned

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
BROKEN = Answer(figures=Figures(has_error=True))


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
        pytest.param(
            replace(SECOND, instead_of=None, answer=BROKEN),
            "POST asm-llm-provider-test.com fallback-route -> dashscope.aliyuncs.com:80"
            " | 127.0.0.1:8443: 200 in 35 ms | 200, then an error in the stream, in 36 ms",
            id="an-error-in-the-stream",
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
    assert (
        story.returned(Returned("a.com", 80, "10.0.0.1:443", 10.875, is_gone=True))
        == "forgot a.com:80 endpoint 10.0.0.1:443, which is gone, 10.9 s after its ejection"
    )


def test_as_data() -> None:
    """Plain values, which a saved flow can hold and give back."""
    told = replace(
        FIRST,
        id="1f",
        received=Received(1800000000.5, "http", "/v1/chat?key=[redacted]", 7, model="gpt"),
        answer=Answer(19, 0.012, 0.011, Figures("qwen", 3, 4, "stop")),
        override="pinned to b.com:80",
    )
    data = story.as_data(told)

    attempts = data.pop("attempts")
    assert data == {
        "id": "1f",
        "at": 1800000000.5,
        "method": "POST",
        "scheme": "http",
        "host": "asm-llm-provider-test.com",
        "path": "/v1/chat?key=[redacted]",
        "route": "fallback-route",
        "source": "vs.yaml:8 VirtualService/vs",
        "target": "asm-llm-provider-test.com:80",
        "instead_of": None,
        "result": "failed",
        "status": 503,
        "flags": ["UH"],
        "duration_s": 0.0154,
        "first_byte_s": 0.012,
        "bytes": 19,
        "request_model": "gpt",
        "model": "qwen",
        "input_tokens": 3,
        "output_tokens": 4,
        "finish_reason": "stop",
        "override": "pinned to b.com:80",
    }
    assert attempts[0] == {
        "target": "asm-llm-provider-test.com:80",
        "endpoint": "127.0.0.1:9",
        "result": "connect-failure",
        "status": None,
        "failure": None,
        "began_s": 0.0,
        "duration_s": 0.0012,
        "lost_after_s": None,
        "model": None,
    }
    assert json.loads(json.dumps(story.as_data(told))) == story.as_data(told)


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        pytest.param({"status": None}, story.Result.GIVEN_UP, id="the-client-left"),
        pytest.param({"status": 503}, story.Result.FAILED, id="an-error"),
        pytest.param({"status": 200, "flags": ("UC",)}, story.Result.FAILED, id="cut"),
        pytest.param({"status": 200, "flags": ("LR",)}, story.Result.FAILED, id="cut-here"),
        pytest.param({"status": 200, "flags": ("UT",)}, story.Result.FAILED, id="late"),
        pytest.param({"status": 200, "answer": BROKEN}, story.Result.FAILED, id="an-error-in-the-stream"),
        pytest.param({"status": 404}, story.Result.ANSWERED, id="the-clients-own-error"),
        pytest.param({"status": 200}, story.Result.ANSWERED, id="an-answer"),
        pytest.param({"status": 200, "instead_of": "b.com:80"}, story.Result.FELL_BACK, id="fallback"),
        pytest.param(
            {"status": 200, "rescue": Rescued("p", ("b.com:80: 503",))},
            story.Result.RESCUED,
            id="after-a-loss",
        ),
        pytest.param({"status": 200, "rescue": Rescued("p")}, story.Result.ANSWERED, id="without-one"),
    ],
)
def test_result(changes: dict[str, Any], result: story.Result) -> None:
    """One word for how a request has ended."""
    assert story.result(replace(FIRST, **changes)) is result


def test_a_lost_attempt() -> None:
    """Whose it was, what came, and when it was given up."""
    attempt = Attempted("a.com:80", "10.0.0.1:443", "200", 0.1, 200, lost_after_s=30.1)
    assert story.lost(attempt, "1f2e3d4c-5b") == (
        "attempt at a.com:80, 10.0.0.1:443: 200, lost after 30100 ms | 1f2e3d4c"
    )


def test_the_comment_on_a_flow() -> None:
    """What became of it, if that is not as usual, and the name by which it and its attempts are found."""
    lost = replace(FIRST.attempts[0], lost_after_s=0.2)
    plain = replace(FIRST, flags=(), status=200, id="1f2e3d4c-5b")
    assert story.comment(plain) == f"{story.summary(plain)} | 1f2e3d4c"
    failed = replace(FIRST, attempts=(lost,), id="1f2e3d4c-5b")
    assert story.comment(failed) == f"{story.summary(failed)} | 503 UH | 1f2e3d4c"
    assert story.comment(replace(failed, status=None, flags=("DC",))).endswith(" | no answer DC | 1f2e3d4c")
    assert story.comment(replace(plain, answer=BROKEN)).endswith(
        " | 200, then an error in the stream | 1f2e3d4c"
    )


def test_times_are_told_to_the_microsecond() -> None:
    """People read the metadata of flows."""
    attempt = replace(FIRST.attempts[0], began_s=1e-9, duration_s=0.00031557700003759237, lost_after_s=1 / 3)
    told = replace(
        FIRST,
        attempts=(attempt,),
        duration_s=2 / 3,
        received=Received(1800000000.123456789, "http", "/", 0),
        answer=Answer(1, 0.1 + 0.2),
    )
    data = story.as_data(told)
    assert [data[name] for name in ("at", "duration_s", "first_byte_s")] == [1800000000.123457, 0.666667, 0.3]
    assert [data["attempts"][0][name] for name in ("began_s", "duration_s", "lost_after_s")] == [
        *(0.0, 0.000316, 0.333333)
    ]


def test_as_data_without_a_rule() -> None:
    """A request that no rule took has no place in a file."""
    assert story.as_data(SECOND)["source"] is None
