"""Compares the addon with real Envoy, scenario by scenario; prints the table; status 1 if anything differs.

A scenario is named by its name or a part of it; none means all. `--histories` adds random ones.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "addon")]

from tests.parity.compare import describe  # noqa: E402 - found by the line above
from tests.parity.histories import histories  # noqa: E402
from tests.parity.scenarios import SCENARIOS  # noqa: E402
from tests.parity.suite import Result, run  # noqa: E402
from tests.support.certificates import Authority  # noqa: E402
from tests.support.proxy import Setting  # noqa: E402

HISTORIES = 100


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/parity", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="a part of a scenario's name")
    parser.add_argument("--histories", type=int, default=HISTORIES, metavar="N", help="how many random ones")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the seed of the first of them")
    return parser.parse_args()


def print_table(results: Sequence[Result]) -> None:
    """One row per scenario, and below it what differs."""
    width = max(len(result.scenario.name) for result in results)
    for result in results:
        same = "DIFFERENT" if result.differences else "same again" if result.chances else "same"
        print(f"{result.scenario.name:{width}}  {same:10}  Envoy  {describe(result.scenario, result.envoy)}")
        print(f"{'':{width}}  {'':10}  ours   {describe(result.scenario, result.ours)}")
        for difference in result.differences:
            print(f"{'':{width}}    {difference}")
        if not result.differences:
            for chance in result.chances:
                print(f"{'':{width}}    by chance, and not again: {chance}")


def main() -> int:
    """Play and print; the exit status."""
    asked = arguments()
    everything = [*SCENARIOS, *histories(asked.histories, first_seed=asked.seed)]
    chosen = [s for s in everything if not asked.scenario or any(part in s.name for part in asked.scenario)]
    if not chosen:
        print("no scenario has such a name", file=sys.stderr)
        return 2
    began = time.monotonic()  # noqa: TID251 - how long it took, for the reader
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name, "ca.pem")
        Authority().write_bundle(bundle)
        results = list(run(chosen, Path(name), Setting(Path(name, "confdir"), bundle)).values())
    print_table(results)
    took = time.monotonic() - began  # noqa: TID251
    different = sum(bool(result.differences) for result in results)
    again = sum(bool(result.chances) and not result.differences for result in results)
    print(
        f"\n{len(results)} scenarios, {different} different, "
        f"{again} the same only when played again, in {took:.0f} s"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
