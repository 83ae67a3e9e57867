"""Counting tokens and time: what answers took, and what was spent on attempts that were thrown away. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import NamedTuple

from llm_fallback.events import Attempted, Figures, Handled
from llm_fallback.metrics.durations import Durations
from llm_fallback.metrics.names import Names

UNNAMED = "unknown"
"""The model of an answer that names none, to a request that names none."""


class Tokens(NamedTuple):
    """Whose tokens: `type` is `input` or `output`."""

    host: str
    route: str
    model: str
    type: str


class Lost(NamedTuple):
    """Whose attempts were thrown away, and why: a failure's word, a status, or `cancelled`."""

    host: str
    reason: str


class Usage:
    """The sums since the start.

    `lost_tokens` are those that providers counted in answers that nobody got, by their type; `first_bytes` is
    how long clients waited for the first byte of a body, by the host that it came from.
    """

    def __init__(self) -> None:
        self.tokens: defaultdict[Tokens, int] = defaultdict(int)
        self.first_bytes: dict[str, Durations] = {}
        self.lost_attempts: defaultdict[Lost, int] = defaultdict(int)
        self.lost_seconds: defaultdict[Lost, float] = defaultdict(float)
        self.lost_tokens: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._models = Names()
        self._routes = Names()

    def handled(self, event: Handled, host: str, host_of: Callable[[str], str]) -> None:
        """Count a request that `host` answered; `host_of` tells the host of a target."""
        answer = event.answer
        if answer.first_byte_s is not None:
            if (durations := self.first_bytes.get(host)) is None:
                durations = self.first_bytes[host] = Durations()
            durations.add(answer.first_byte_s * 1000)
        counts = _counts(answer.figures)
        if counts:
            model = self._models.label(answer.figures.model or _asked_for(event) or UNNAMED)
            route = self._routes.label(event.route)
            for kind, count in counts:
                self.tokens[Tokens(host, route, model, kind)] += count
        for attempt in event.attempts:
            if attempt.lost_after_s is not None:
                self._lost(attempt, attempt.lost_after_s, host_of(attempt.target))

    def _lost(self, attempt: Attempted, seconds: float, host: str) -> None:
        lost = Lost(host, attempt.failure or (str(attempt.status) if attempt.status else "cancelled"))
        self.lost_attempts[lost] += 1
        self.lost_seconds[lost] += seconds
        for kind, count in _counts(attempt.figures):
            self.lost_tokens[host, kind] += count

    def keep(self, hosts: Collection[str]) -> None:
        """Forget all hosts but these."""
        for counted in (self.tokens, self.lost_attempts, self.lost_seconds, self.lost_tokens):
            for ended in [key for key in counted if key[0] not in hosts]:
                del counted[ended]  # type: ignore[arg-type]  # it is one of its own keys
        for host in self.first_bytes.keys() - set(hosts):
            del self.first_bytes[host]
        self._models.keep({key.model for key in self.tokens})
        self._routes.keep({key.route for key in self.tokens})


def _counts(figures: Figures) -> list[tuple[str, int]]:
    both = (("input", figures.input_tokens), ("output", figures.output_tokens))
    return [(kind, count) for kind, count in both if count is not None]


def _asked_for(event: Handled) -> str | None:
    """The model that the answer was asked of: the target's own, or the client's."""
    final = event.final_attempt
    return (final.model if final else None) or (event.received.model if event.received else None)
