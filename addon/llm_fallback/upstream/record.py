"""What has been passed on of an answer, for those who look at it later: bounded, whatever its size. Pure."""

from collections import deque

MAX_KEPT_BYTES = 1024 * 1024
"""How much of an answer's beginning is kept; answers pass through and are not buffered for it."""

MAX_TAIL_BYTES = 64 * 1024
"""How much of the end of a longer one is kept, where providers say what it has cost."""

_MAX_ARRIVALS = 4096


class Record:
    """The answer so far: its size, its beginning and end, and when its pieces came."""

    def __init__(self) -> None:
        self.size = 0
        self.first_at: float | None = None
        self._arrivals: list[tuple[float, int]] = []
        self._beginning: list[bytes] = []
        self._room = MAX_KEPT_BYTES
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def add(self, piece: bytes, *, now: float) -> None:
        """One more piece; `now` is in seconds of any clock that `first_at` and the arrivals are to be in."""
        if not piece:
            return
        if self.first_at is None:
            self.first_at = now
        self.size += len(piece)
        if len(self._arrivals) < _MAX_ARRIVALS:
            self._arrivals.append((now, self.size))
        if self._room:
            kept = piece[: self._room]
            self._beginning.append(kept)
            self._room -= len(kept)
            if len(kept) < len(piece):
                self._add_to_tail(piece[len(kept) :])
        else:
            self._add_to_tail(piece)

    @property
    def beginning(self) -> bytes:
        """The answer, or as much of its beginning as is kept."""
        return b"".join(self._beginning)

    @property
    def shown_bytes(self) -> int:
        """The size of that."""
        return MAX_KEPT_BYTES - self._room

    @property
    def tail(self) -> bytes:
        """The end of what comes after the beginning."""
        return b"".join(self._tail)[-MAX_TAIL_BYTES:]

    def arrivals(self, *, since: float) -> list[list[float]]:
        """When there was how much of it: pairs of seconds and bytes, of the first few thousand pieces."""
        return [[round(at - since, 6), size] for at, size in self._arrivals]

    def _add_to_tail(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail_size - len(self._tail[0]) >= MAX_TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())
