"""The benchmark's figures: from samples to medians, pairwise ratios, verdicts and a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from bench_load import Sample

type Row = Mapping[str, float]
type Rounds = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One column: what a sample says, and how it is printed."""

    key: str
    title: str
    digits: int
    of: Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Target:
    """`ours` compared with a reference, in the median over the rounds, stays within `limit`."""

    metric: Metric
    reference: str
    limit: float
    at_least: bool = False
    noise: str | None = None  # a second process like the reference: the limit is never below their difference

    def limit_for(self, rounds: Rounds) -> float:
        """The limit, raised to the upper quartile of the difference between the reference and its like."""
        if self.noise is None or not rounds.get(self.noise) or not rounds.get(self.reference):
            return self.limit
        differences = ratios(rounds, self.metric, self.noise, self.reference)
        return max(self.limit, quantiles(differences, n=4, method="inclusive")[2])


@dataclass(slots=True)
class Result:
    """What one scenario measured: per contender one row a round, or why there is none."""

    name: str
    about: str
    metrics: tuple[Metric, ...]
    targets: tuple[Target, ...]
    rounds: dict[str, list[Row]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def fail(self, contender: str, reason: str) -> None:
        """Take a contender out; half a measurement would not compare."""
        self.rounds.pop(contender, None)
        self.failures[contender] = reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target is met; `None` where there was nothing to compare."""

    text: str
    is_met: bool | None


def _latencies_ms(sample: Sample) -> list[float]:
    return [exchange.seconds * 1000 for exchange in sample.exchanges]


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]


def _pieces(sample: Sample) -> int:
    return sum(len(exchange.pieces) for exchange in sample.exchanges)


def _events(sample: Sample) -> int:
    return sum(exchange.body.count(b"data: ") for exchange in sample.exchanges)


CPU = Metric("cpu_ms", "CPU ms/request", 3, lambda s: s.cpu_s * 1000 / len(s.exchanges))
MEDIAN = Metric("p50_ms", "median ms", 2, lambda s: median(_latencies_ms(s)))
P99 = Metric("p99_ms", "p99 ms", 2, lambda s: _p99(_latencies_ms(s)))
RATE = Metric("requests_per_s", "requests/s", 0, lambda s: len(s.exchanges) / s.wall_s)
EVENT_CPU = Metric("cpu_ms_per_event", "CPU ms/event", 3, lambda s: s.cpu_s * 1000 / _events(s))
FIRST_EVENT = Metric(
    "first_event_ms", "first event ms", 2, lambda s: median(e.first_piece_s * 1000 for e in s.exchanges)
)
TOTAL = Metric("total_ms", "total ms", 0, lambda s: median(_latencies_ms(s)))
PIECES = Metric("events_per_piece", "events/piece", 2, lambda s: _events(s) / _pieces(s))

REQUEST_METRICS = (CPU, MEDIAN, P99, RATE)
STREAM_METRICS = (EVENT_CPU, FIRST_EVENT, TOTAL, PIECES)


def row(metrics: Sequence[Metric], sample: Sample) -> Row:
    """What one round of one contender comes to."""
    return {metric.key: metric.of(sample) for metric in metrics}


def ratios(rounds: Rounds, metric: Metric, contender: str, reference: str) -> list[float]:
    """Contender by reference, round by round: what slows one round down slows both."""
    pairs = zip(rounds[contender], rounds[reference], strict=True)
    return [mine[metric.key] / theirs[metric.key] for mine, theirs in pairs]


def judge(result: Result) -> list[Verdict]:
    """What became of each of a scenario's targets."""
    return [_judge(target, result.rounds) for target in result.targets]


def _judge(target: Target, rounds: Rounds) -> Verdict:
    bound = target.limit_for(rounds)
    claim = f"{target.metric.title}, ours ÷ {target.reference} {'≥' if target.at_least else '≤'} {bound:.2f}"
    if not rounds.get("ours") or not rounds.get(target.reference):
        return Verdict(f"{claim}: not measured", None)
    ratio = median(ratios(rounds, target.metric, "ours", target.reference))
    is_met = ratio >= bound if target.at_least else ratio <= bound
    return Verdict(f"{claim}: {ratio:.2f}, {'met' if is_met else 'MISSED'}", is_met)


def lines(result: Result) -> list[str]:
    """A scenario as a table, its failures and its verdicts."""
    count = max((len(rows) for rows in result.rounds.values()), default=0)
    return [
        f"{result.name}: {result.about} ({count} rounds)",
        *(f"  {line}" for line in _table(result)),
        *(f"  {contender} FAILED: {_indented(reason)}" for contender, reason in result.failures.items()),
        *(f"  target: {verdict.text}" for verdict in judge(result)),
    ]


def _table(result: Result) -> list[str]:
    rows = [["", *(metric.title for metric in result.metrics)]]
    rows += [
        [contender, *(_spread([one[m.key] for one in measured], m.digits) for m in result.metrics)]
        for contender, measured in result.rounds.items()
    ]
    rows += [
        [f"{mine} ÷ {theirs}", *(_spread(ratios(result.rounds, m, mine, theirs), 2) for m in result.metrics)]
        for mine, theirs in _pairs(result.rounds)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]


def _pairs(rounds: Rounds) -> list[tuple[str, str]]:
    """Every contender with each one before it: `bare` first, `ours` last."""
    names = [name for name, rows in rounds.items() if rows]
    return [(mine, theirs) for at, mine in enumerate(names) for theirs in names[:at]]


def _spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return "-"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"  # noqa: RUF001 - a range


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n    ")
