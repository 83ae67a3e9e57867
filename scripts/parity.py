"""Compares the addon with real Envoy, scenario by scenario; prints the table; status 1 if anything differs.

A scenario is named by its name or a part of it; none means all. `--histories` adds random ones, `--scenario`
those of a file instead of ours (see docs/parity.md).
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "addon")]

from tests.parity.compare import describe  # noqa: E402 - found by the line above
from tests.parity.files import scenarios_in  # noqa: E402
from tests.parity.histories import histories  # noqa: E402
from tests.parity.known import KNOWN  # noqa: E402
from tests.parity.model import compare_histories  # noqa: E402
from tests.parity.players import NotStartedError  # noqa: E402
from tests.parity.scenario import Record, Scenario  # noqa: E402
from tests.parity.scenarios import SCENARIOS  # noqa: E402
from tests.parity.suite import Result, play_envoy, run, unseen  # noqa: E402
from tests.support.certificates import Authority  # noqa: E402
from tests.support.proxy import Setting  # noqa: E402

HISTORIES = 100


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/parity", description=__doc__)
    parser.add_argument("name", nargs="*", help="a part of a scenario's name")
    parser.add_argument(
        "--scenario", type=Path, action="append", metavar="FILE", help="scenarios of your own"
    )
    parser.add_argument("--histories", type=int, default=HISTORIES, metavar="N", help="how many random ones")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the seed of the first of them")
    parser.add_argument("--only", choices=["envoy"], help="play Envoy alone, and compare nothing")
    parser.add_argument(
        "--verbose", action="store_true", help="every answer, and every request as it arrived"
    )
    parser.add_argument(
        "--model", type=int, metavar="N", help="compare N random histories of the detector instead"
    )
    return parser.parse_args()


def chosen(asked: argparse.Namespace) -> list[Scenario]:
    """The scenarios to play; ValueError for a file that is none of scenarios."""
    if asked.scenario:
        everything = [scenario for path in asked.scenario for scenario in scenarios_in(path)]
    else:
        everything = [*SCENARIOS, *unseen(), *histories(asked.histories, first_seed=asked.seed)]
    return [s for s in everything if not asked.name or any(part in s.name for part in asked.name)]


def verdict(result: Result) -> str:
    """What is to be said about both plays."""
    if result.differences:
        return "known" if result.scenario.name in KNOWN else "DIFFERENT"
    return "same again" if result.chances else "same"


def print_table(results: Sequence[Result], *, verbose: bool) -> None:
    """One row per scenario, and below it what differs."""
    width = max(len(result.scenario.name) for result in results)
    for result in results:
        same = verdict(result)
        print(f"{result.scenario.name:{width}}  {same:10}  Envoy  {describe(result.scenario, result.envoy)}")
        print(f"{'':{width}}  {'':10}  ours   {describe(result.scenario, result.ours)}")
        for difference in result.differences:
            print(f"{'':{width}}    {difference}")
        if not result.differences:
            for chance in result.chances:
                print(f"{'':{width}}    by chance, and not again: {chance}")
        if verbose:
            print_record("Envoy", result.envoy)
            print_record("ours", result.ours)


def print_record(who: str, record: Record) -> None:
    """All that was seen in one play."""
    for step in record.steps:
        print(f"  {who}: {step.step}")
        for answer in step.answers:
            print(f"      answer {answer}")
        for seen in step.seen:
            print(f"      at {seen.endpoint}: {seen.line} {seen.headers} {seen.body_size} bytes")
    for ejection in record.ejections:
        print(f"  {who}: {ejection}")
    print(f"  {who}: could not connect {dict(record.refused)}")


def main() -> int:
    """Play and print; the exit status."""
    asked = arguments()
    began = time.monotonic()  # noqa: TID251 - how long it took, for the reader
    if asked.model is not None:
        compare_histories(asked.model, seed=asked.seed)
        print(f"{asked.model} histories of the detector, 0 different, in {time.monotonic() - began:.0f} s")  # noqa: TID251
        return 0
    try:
        scenarios = chosen(asked)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not scenarios:
        print("no scenario has such a name", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name, "ca.pem")
        Authority().write_bundle(bundle)
        setting = Setting(Path(name, "confdir"), bundle)
        if asked.only:
            records = asyncio.run(play_envoy(scenarios, Path(name), setting))
            for scenario, record in zip(scenarios, records, strict=True):
                print(f"{scenario.name}  {describe(scenario, record)}")
                if asked.verbose:
                    print_record("Envoy", record)
            return 0
        try:
            results = list(run(scenarios, Path(name), setting).values())
        except NotStartedError as error:
            print(error, file=sys.stderr)
            return 2
    print_table(results, verbose=asked.verbose)
    took = time.monotonic() - began  # noqa: TID251
    verdicts = Counter(verdict(result) for result in results)
    different = verdicts["DIFFERENT"]
    print(
        f"\n{len(results)} scenarios, {different} different, {verdicts['known']} with a known difference, "
        f"{verdicts['same again']} the same only when played again, in {took:.0f} s"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
