"""Metrics as text: Prometheus' exposition format, and Envoy's own list of names and values."""

import re
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from llm_fallback.metrics.counting import BUCKETS_MS, Durations, Metrics
from llm_fallback.metrics.reading import DURATIONS, Stat, request_labels, stats
from llm_fallback.status import TargetStatus

__all__ = ["CONTENT_TYPE", "prometheus", "stats_text"]

_HEAD = re.compile(r"^(# (?:HELP|TYPE) )(\S+)_total ", re.MULTILINE)


def prometheus(metrics: Metrics, statuses: Iterable[TargetStatus]) -> str:
    """Everything in Prometheus' text format, CONTENT_TYPE, with Envoy's names as Envoy writes them."""
    registry = CollectorRegistry()
    collector = _Collector(metrics, statuses)
    registry.register(collector)
    text = generate_latest(registry).decode()
    # The library wants every counter to end in _total; half of Envoy's do not.
    return _HEAD.sub(lambda head: f"{head[1]}{collector.own_name(head[2])} ", text)


def stats_text(found: Iterable[Stat], *, matches: Callable[[str], object], used_only: bool) -> str:
    """A line for each value whose name matches, sorted, as Envoy's `/stats` has them."""
    chosen = [
        f"{stat.name}: {stat.value}\n"
        for stat in found
        if (not used_only or stat.value or stat.family.type == "gauge") and matches(stat.name)
    ]
    return "".join(sorted(chosen))


class _Collector(Collector):
    def __init__(self, metrics: Metrics, statuses: Iterable[TargetStatus]) -> None:
        self._metrics = metrics
        self._statuses = statuses
        self._names: dict[str, str] = {}

    def own_name(self, name: str) -> str:
        """The counter's own name, from what the library makes of it without `_total`."""
        return self._names.get(name, f"{name}_total")

    def describe(self) -> Iterator[Metric]:
        """Nothing: nobody else registers here, and asking would collect everything."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The families, each with its values."""
        families: dict[str, Metric] = {}
        for stat in stats(self._metrics, self._statuses):
            name, kind, text = stat.family
            if (family := families.get(name)) is None:
                plain = name.removesuffix("_total") if kind == "counter" else name
                family = families[name] = Metric(plain, text, kind)
                if kind == "counter":
                    self._names[plain] = name
            family.add_sample(name, dict(stat.labels), stat.value)
        yield from families.values()
        yield self._durations()

    def _durations(self) -> Metric:
        family = Metric(DURATIONS.name, DURATIONS.help, DURATIONS.type)
        for key, durations in self._metrics.requests.items():
            _add(family, request_labels(key), durations)
        return family


def _add(family: Metric, labels: dict[str, str], durations: Durations) -> None:
    total = 0
    for limit, count in zip((*BUCKETS_MS, "+Inf"), durations.buckets, strict=True):
        total += count
        family.add_sample(f"{DURATIONS.name}_bucket", {**labels, "le": f"{limit}"}, total)
    family.add_sample(f"{DURATIONS.name}_sum", labels, durations.sum_ms)
    family.add_sample(f"{DURATIONS.name}_count", labels, durations.count)
