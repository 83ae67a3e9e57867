"""Metrics as text: Prometheus' exposition format, and Envoy's own list of names and values."""

import re
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from llm_fallback.metrics.reading import Stat

__all__ = ["CONTENT_TYPE", "prometheus", "stats_text"]

_COUNTER_HEAD = re.compile(r"^# HELP (\S+)_total (.*)\n# TYPE \1_total counter$", re.MULTILINE)


def prometheus(found: Iterable[Stat]) -> bytes:
    """The values in Prometheus' text format, which is CONTENT_TYPE."""
    text = generate_latest(_Families(found)).decode()
    # The library has all counters end in _total, and puts it there. Half of Envoy's do not.
    return _COUNTER_HEAD.sub(r"# HELP \1 \2\n# TYPE \1 counter", text).encode()


def stats_text(found: Iterable[Stat], *, matches: Callable[[str], object], used_only: bool) -> str:
    """A line for each value whose name matches, sorted, as Envoy's `/stats` has them; no durations."""
    chosen = [
        f"{stat.name}: {stat.value}\n"
        for stat in found
        if stat.name and (not used_only or stat.value or stat.family.type == "gauge") and matches(stat.name)
    ]
    return "".join(sorted(chosen))


class _Families(Collector):
    """The values by family."""

    def __init__(self, found: Iterable[Stat]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for stat in self._found:
            name, kind, text = stat.family
            if (family := families.get(name)) is None:
                family = families[name] = Metric(name, text, kind)
            family.add_sample(name + stat.suffix, dict(stat.labels), stat.value)
        yield from families.values()
