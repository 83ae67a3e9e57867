"""How fast a stream came, from when its bytes were there. Pure: the times are given."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llm_fallback.wording import counted

_NOTICEABLE_S = 0.001


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the bytes of an answer came.

    `pieces` are pairs of the seconds since the request was complete and how many bytes of the body were there
    by then; `duration_s` is the whole answer's.
    """

    pieces: tuple[tuple[float, int], ...] = ()
    first_byte_s: float | None = None
    duration_s: float | None = None


UNKNOWN = Arrivals()


def timing_text(
    arrivals: Arrivals, said_at: Sequence[float | None], events: int, output_tokens: int | None
) -> str:
    """`first token after 0.41 s, 38 tokens/s, 1.6 s in all, 46 events, longest gap 0.20 s`, as far as known.

    `said_at` is when each event that says something came, None where that is not known; tokens count from the
    first to the last of them, or to the end.
    """
    times = [at for at in said_at if at is not None]
    known = []
    if times:
        known.append(f"first token after {seconds(times[0])}")
    elif arrivals.first_byte_s is not None:
        known.append(f"first byte after {seconds(arrivals.first_byte_s)}")
    ends = [at for at, _ in arrivals.pieces]
    ends += [arrivals.duration_s] if arrivals.duration_s is not None else []
    if times and output_tokens:
        spoken_s = (max(ends) if said_at[-1] is None else times[-1]) - times[0]
        known += [f"{_rate(output_tokens / spoken_s)} tokens/s"] if spoken_s >= _NOTICEABLE_S else []
    if ends:
        known.append(f"{seconds(max(ends))} in all")
    known.append(counted(events, "event"))
    gap = max((later - earlier for earlier, later in pairwise(times)), default=0.0)
    if gap >= _NOTICEABLE_S:
        known.append(f"longest gap {seconds(gap)}")
    return ", ".join(known)


def seconds(duration: float) -> str:
    """A time as people say it."""
    if duration < 0.1:
        return f"{duration * 1000:.0f} ms"
    return f"{duration:.2f} s" if duration < 1 else f"{duration:.1f} s"


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"
