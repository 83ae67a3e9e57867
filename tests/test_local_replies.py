"""Envoy's own answers, byte for byte."""

import pytest

from llm_fallback.local_replies import (
    INTERNAL_ERROR,
    NO_HEALTHY_UPSTREAM,
    NO_SUCH_TARGET,
    Flag,
    LocalReply,
    connect_error,
)
from llm_fallback.retry import Failure

PREFIX = "upstream connect error or disconnect/reset before headers. "


def test_no_healthy_upstream() -> None:
    """The tutorial's first answer: 19 bytes and no newline."""
    assert LocalReply(503, "no healthy upstream", (Flag("UH"),)) == NO_HEALTHY_UPSTREAM
    assert len(NO_HEALTHY_UPSTREAM.body.encode()) == 19


def test_no_such_target() -> None:
    """An unknown cluster: 503 without a body, flag NC."""
    assert LocalReply(503, "", (Flag("NC"),)) == NO_SUCH_TARGET


def test_internal_error() -> None:
    """Failing closed, which Envoy has no flag for."""
    reply = LocalReply(500, "llm-fallback failed to handle this request; its log says why", ())

    assert reply == INTERNAL_ERROR


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        pytest.param(
            Failure.CONNECT_FAILURE,
            LocalReply(503, PREFIX + "reset reason: remote connection failure", (Flag("UF"),)),
            id="refused",
        ),
        pytest.param(
            Failure.CONNECT_TIMEOUT,
            LocalReply(503, PREFIX + "reset reason: connection timeout", (Flag("UF"),)),
            id="connect-timeout",
        ),
        pytest.param(
            Failure.RESET,
            LocalReply(503, PREFIX + "reset reason: connection termination", (Flag("UC"),)),
            id="reset",
        ),
        pytest.param(
            Failure.PROTOCOL_ERROR,
            LocalReply(502, PREFIX + "reset reason: protocol error", (Flag("UPE"),)),
            id="garbage",
        ),
    ],
)
def test_connect_error(failure: Failure, reply: LocalReply) -> None:
    """Status, text and flag of the first and only attempt."""
    assert connect_error(failure, retries_done=0, limit_reached=False) == reply


def test_connect_error_after_retries() -> None:
    """The text says that it was tried again; the flag, that no more tries were allowed."""
    text = PREFIX + "retried and the latest reset reason: remote connection failure"

    assert connect_error(Failure.CONNECT_FAILURE, retries_done=1, limit_reached=False) == LocalReply(
        503, text, (Flag("UF"),)
    )
    assert connect_error(Failure.CONNECT_FAILURE, retries_done=2, limit_reached=True) == LocalReply(
        503, text, (Flag("UF"), Flag("URX"))
    )
