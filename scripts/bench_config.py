"""How the time to load a configuration, and the time to decide a request, grow with the number of providers.

Loading may grow with the number of resources, not faster. A decision may not grow with it at all.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "addon"))

from llm_fallback.config import Snapshot, load
from llm_fallback.matching import RequestFacts
from llm_fallback.routing import choose_destination, find_route

_DECISIONS = 20_000
_RESOURCES_EACH = 3
_RESOURCES = """\
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: provider-{n}
  annotations:
    asm.alibabacloud.com/custom-destinationrule: "true"
spec:
  host: provider-{n}.example.com
  path: /v1/chat/completions
  configs:
    defaultConfig:
      openAIConfig:
        model: model-{n}
        apiKey: key-{n}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: provider-{n}
spec:
  host: provider-{n}.example.com
  trafficPolicy:
    portLevelSettings:
    - port:
        number: 80
      tls:
        mode: SIMPLE
      outlierDetection:
        consecutive5xxErrors: 1
        interval: 1s
        baseEjectionTime: 10s
        maxEjectionPercent: 100
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: provider-{n}
spec:
  hosts:
  - provider-{n}.example.com
  http:
  - name: premium
    match:
    - headers:
        user-type:
          exact: subscriber
    route:
    - destination:
        host: provider-{other}.example.com
  - name: everybody
    route:
    - destination:
        host: provider-{n}.example.com
      fallback:
        target:
          host: provider-{other}.example.com
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one size took; seconds are medians over the rounds."""

    providers: int
    load_s: float
    decision_s: float


def main() -> int:
    """Print the curve; 1 if a configuration does not load, or the cost of a decision grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10_000], metavar="PROVIDERS")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("providers  resources     load s   ms/resource  decision us")
    rows = []
    for row in _rows(options.sizes, options.rounds):
        rows.append(row)
        resources = row.providers * _RESOURCES_EACH
        print(
            f"{row.providers:9} {resources:10} {row.load_s:10.3f} {row.load_s / resources * 1e3:13.3f}"
            f" {row.decision_s * 1e6:12.2f}",
            flush=True,
        )
    growth = max(row.decision_s for row in rows) / min(row.decision_s for row in rows)
    print(f"\na decision among the most providers costs {growth:.2f} times the cheapest")
    return int(growth > 2)


def _rows(sizes: list[int], rounds: int) -> Iterator[Row]:
    for size in sorted(sizes):
        with tempfile.TemporaryDirectory(prefix="llm-fallback-bench-") as folder:
            file = Path(folder) / "mesh.yaml"
            file.write_text("".join(_RESOURCES.format(n=n, other=(n + 1) % size) for n in range(size)))
            snapshot = _loaded(file)
            load_s = _median(partial(_loaded, file), rounds)
            decision_s = _median(partial(_decide, snapshot, size), rounds) / _DECISIONS
            yield Row(size, load_s, decision_s)


def _loaded(file: Path) -> Snapshot:
    loaded = load([file], {})
    if loaded.snapshot is None:
        raise SystemExit("\n".join(map(str, loaded.findings[:10])))
    return loaded.snapshot


def _decide(snapshot: Snapshot, size: int) -> None:
    """Find the rule and the destination of requests to hosts all over the configuration."""
    rng = random.Random(1)
    hosts = [f"provider-{rng.randrange(size)}.example.com" for _ in range(64)]
    headers = (("content-type", "application/json"), ("user-type", "guest"))
    for number in range(_DECISIONS):
        host = hosts[number % len(hosts)]
        facts = RequestFacts("POST", "http", host, "/v1/chat/completions", "", headers, 80)
        matched = find_route(snapshot, host, facts)
        assert matched is not None
        assert isinstance(matched.route.action, tuple)
        choose_destination(snapshot, matched.route.action, listener_port=80, rng=rng)


def _median(action: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begin = perf_counter()
        action()
        taken.append(perf_counter() - begin)
    return median(taken)


if __name__ == "__main__":
    sys.exit(main())
