"""What exchanges share, with a scripted client: no sockets, no waiting, every draw and every moment known."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from llm_fallback.balancing import Balancer
from llm_fallback.config.snapshot import Target
from llm_fallback.events import Ejected, Event, Handled, Returned
from llm_fallback.health import Health
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint, OutlierPolicy
from llm_fallback.overrides import Overrides
from llm_fallback.rescue.budget import RescueBudget
from llm_fallback.rescue.readmission import Readmission
from llm_fallback.retry import Failure
from llm_fallback.upstream.circuit_breakers import Resource
from llm_fallback.upstream.client import AttemptFailed, BodyBroken, UpstreamClient
from llm_fallback.upstream.discovery import Discovery
from llm_fallback.upstream.shared import LostAttempt

EJECTS = OutlierPolicy(consecutive_5xx=1, interval_s=1.0, base_ejection_s=10.0, max_ejection_percent=100)
EPOCH = 1_800_000_000.0
"""When the clock begins, in seconds since 1970."""

_BEFORE_CONNECTING = (Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT, Failure.OVERFLOW)


def target(host: str = "a.com", *addresses: str, **more: Any) -> Target:
    """A target on port 80, with endpoints at these addresses, or one at the host itself."""
    return Target(host, 80, tuple(Endpoint(address, 80) for address in addresses or (host,)), **more)


@dataclass
class Reply:
    """What comes of an attempt: a failure or an answer, some seconds after connecting took some seconds.

    The pieces of the body come one by one; a float among them is a wait, an exception breaks the body.
    """

    result: int | Failure = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[bytes | float | BodyBroken, ...] = ()
    after_s: float = 0.0
    connecting_s: float = 0.0
    rest: bytes = b""


SILENCE = Reply(after_s=1e9)
UNREACHABLE = Reply(connecting_s=1e9)


@dataclass
class Response:
    """A response that says when it was let go of."""

    reply: Reply
    status: int
    reason: str = ""
    is_released: bool = False
    _left: deque[bytes | float | BodyBroken] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.headers = self.reply.headers
        self._left.extend(self.reply.body)

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return dict(self.headers).get(name)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left."""
        return not self._left

    async def read(self) -> bytes:
        """The next piece."""
        while self._left:
            piece = self._left[0]
            if isinstance(piece, BodyBroken):
                raise piece  # for ever
            self._left.popleft()
            if isinstance(piece, bytes):
                return piece
            await asyncio.sleep(piece)
        return b""

    def read_ready(self) -> bytes:
        """The pieces before the next wait."""
        ready = b""
        while self._left and isinstance(self._left[0], bytes):
            ready += cast(bytes, self._left.popleft())
        return ready

    def read_rest(self) -> bytes:
        """What came before the body broke."""
        return self.reply.rest

    def release(self) -> None:
        """Say that it was let go of."""
        self.is_released = True


@dataclass(frozen=True)
class Sent:
    """One attempt as the client got it."""

    host: str
    endpoint: Endpoint
    outgoing: Outgoing
    at: float

    def header(self, name: str) -> str | None:
        """A header that was sent."""
        return next((v for n, v in self.outgoing.headers if n.lower() == name), None)


class Client:
    """Gives the replies of its script in turn, or those that a host has for itself."""

    def __init__(self, clock: Callable[[], float], max_retries: int | None) -> None:
        self.sent: list[Sent] = []
        self.responses: list[Response] = []
        self.script: deque[Reply] = deque()
        self.by_host: dict[str, Reply] = {}
        self.retrying = Resource(max_retries)
        self._clock = clock

    async def send(
        self, target: Target, endpoint: Endpoint, outgoing: Outgoing, connected: Callable[[], None]
    ) -> Response:
        """Do what the script says."""
        self.sent.append(Sent(target.host, endpoint, outgoing, round(self._clock(), 3)))
        reply = self.by_host.get(target.host) or self.script.popleft()
        await asyncio.sleep(reply.connecting_s)
        if reply.result not in _BEFORE_CONNECTING:
            connected()
        await asyncio.sleep(reply.after_s)
        if isinstance(reply.result, Failure):
            raise AttemptFailed(reply.result, "as scripted")
        response = Response(reply, reply.result)
        self.responses.append(response)
        return response

    def active(self, _target: Target, _endpoint: Endpoint) -> int:
        """Nobody is busy."""
        return 0

    def retries(self, _target: Target) -> Resource:
        """The same for all."""
        return self.retrying


class World:
    """`Shared`, and the observer of what goes on. One endpoint after the other is picked."""

    def __init__(
        self, clock: Callable[[], float], targets: Iterable[Target], max_retries: int | None
    ) -> None:
        self.clock = clock
        self.wall_clock: Callable[[], float] = lambda: EPOCH + clock()
        self.readmission = Readmission()
        self.budget = RescueBudget()
        self.overrides = Overrides()
        self.rng: random.Random = Lowest()
        self.scripted = Client(clock, max_retries)
        self.client = cast(UpstreamClient, self.scripted)
        self.health = Health()
        self.health.adopt(targets, now=clock())
        self.discovery = Discovery(lambda _, __: None)
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = self.events.append
        self.handled_events: list[Handled] = []
        self.hash_keys: list[int | None] = []
        self.copies: list[tuple[Target, Outgoing, float | None]] = []
        self.announced: list[tuple[Outgoing, Target, Endpoint]] = []
        self.lost_attempts: list[LostAttempt] = []
        self._picks = 0

    def balancer(self, target: Target) -> Balancer:  # noqa: ARG002 - the name is the protocol's
        """The one that takes them in turn."""
        return cast(Balancer, self)

    def pick(self, candidates: Sequence[Endpoint], *, hash_key: int | None, **_: object) -> Endpoint:
        """The next one."""
        self.hash_keys.append(hash_key)
        self._picks += 1
        return candidates[(self._picks - 1) % len(candidates)]

    def sweep(self) -> None:
        """Tell who is back."""
        now = self.clock()
        for place, returned in self.health.advance(now):
            self.readmission.returned(place, now=now)
            self.events.append(returned)

    def send_copy(self, target: Target, outgoing: Outgoing, timeout_s: float | None) -> None:
        """Remember it."""
        self.copies.append((target, outgoing, timeout_s))

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Remember it."""
        self.announced.append((outgoing, target, endpoint))

    def lost(self, attempt: LostAttempt) -> None:
        """Remember it."""
        self.lost_attempts.append(attempt)

    def handled(self, event: Handled) -> None:
        """Remember it."""
        self.handled_events.append(event)

    def replies(self, *script: Reply | int | Failure) -> None:
        """Say what comes of the next attempts."""
        self.scripted.script.extend(e if isinstance(e, Reply) else Reply(e) for e in script)

    @property
    def responses(self) -> list[Response]:
        """The responses so far."""
        return self.scripted.responses

    @property
    def sent(self) -> list[Sent]:
        """The attempts so far."""
        return self.scripted.sent

    @property
    def health_changes(self) -> list[str]:
        """Who was ejected and who returned, by address."""
        return [
            f"{'-' if isinstance(event, Ejected) else '+'}{event.endpoint}"
            for event in self.events
            if isinstance(event, Ejected | Returned)
        ]


class Lowest(random.Random):
    """Draws the lowest number, so that no back-off waits; `draws` are drawn first."""

    def __init__(self, *draws: float) -> None:
        super().__init__(0)
        self.draws = list(draws)

    def random(self) -> float:
        """The next of them, from 0 up to 1."""
        return self.draws.pop(0) if self.draws else 0.0

    def randrange(self, start: int, *_: Any) -> int:
        """The number at the next of them, below `start`."""
        return int(self.random() * start)
