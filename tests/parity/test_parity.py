"""Every scenario comes out the same on real Envoy and here."""

import os

import pytest

from tests.parity.compare import describe
from tests.parity.histories import histories
from tests.parity.known import KNOWN
from tests.parity.scenarios import SCENARIOS
from tests.parity.suite import Result, run, unseen
from tests.support.proxy import ROOT, Setting

HISTORIES = int(os.environ.get("PARITY_HISTORIES", "24"))
UNSEEN = unseen()
ALL = {scenario.name: scenario for scenario in (*SCENARIOS, *UNSEEN, *histories(HISTORIES))}


@pytest.fixture(scope="session")
def results(
    request: pytest.FixtureRequest, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Result]:
    """All scenarios of the tests that were asked for, played side by side: most of their time is waiting."""
    names = dict.fromkeys(
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_same_as_envoy
    )
    return run([ALL[name] for name in names], tmp_path_factory.mktemp("parity"), setting)


@pytest.mark.parametrize("name", ALL)
def test_same_as_envoy(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    told = [
        f"Envoy: {describe(result.scenario, result.envoy)}",
        f"ours:  {describe(result.scenario, result.ours)}",
    ]
    assert bool(result.differences) == (name in KNOWN), "\n".join([*told, *result.differences])


def test_known_differences_are_documented() -> None:
    documented = (ROOT / "docs/parity.md").read_text("utf-8")

    assert all(name in ALL and f"`{name}`" in documented for name in KNOWN)


def test_scenario_names_are_distinct() -> None:
    assert len(ALL) == len(SCENARIOS) + len(UNSEEN) + HISTORIES


def test_histories_are_reproducible() -> None:
    assert list(histories(5)) == list(histories(5))
