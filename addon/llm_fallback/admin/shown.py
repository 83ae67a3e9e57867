"""What the admin page is given to show, and whom it asks for what a person wants done."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llm_fallback.config.in_force import Configuration
from llm_fallback.config.snapshot import Snapshot
from llm_fallback.history import History
from llm_fallback.metrics import Metrics
from llm_fallback.overrides import Overrides
from llm_fallback.status import TargetStatus


class Actions(Protocol):
    """What a person can do; each answers with a sentence, or raises a ValueError with one."""

    def eject(self, place: str, for_s: float | None = None) -> str:
        """Take endpoints out of rotation."""

    def put_back(self, place: str) -> str:
        """Put them back."""

    def pin(self, host: str, target: str) -> str:
        """Send the requests for a managed host to one target."""

    def fault(self, place: str, fault: Mapping[str, Any]) -> str:
        """Have attempts fail."""

    def clear(self, what: str = "all") -> str:
        """Undo what was done by hand."""

    async def reload(self) -> str:
        """Load the configuration again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What there is to show; the callables say how it is now.

    `status` is in seconds of `clock`, which is monotonic; `wall_clock` and `started_at` are in seconds since
    1970. `proxy` are the addresses at which requests are taken. `not_from` are ports of this machine from
    which nobody may look. Whoever knows the `token` may call for `actions`; with an empty one that is nobody.
    Without `actions` there are none.
    """

    metrics: Metrics
    status: Callable[[], Iterable[TargetStatus]]
    configuration: Callable[[], Configuration]
    snapshot: Callable[[], Snapshot]
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    history: History = field(default_factory=History)
    overrides: Overrides = field(default_factory=Overrides)
    actions: Actions | None = None
    token: str = field(default="", repr=False)
    not_from: Collection[int] = ()
    proxy: Callable[[], Sequence[str]] = tuple
    version: str = ""
    started_at: float = 0.0
