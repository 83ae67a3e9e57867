"""The view is bounded: the oldest flows go, and none that somebody has marked."""

import pytest
from mitmproxy.addons.view import View
from mitmproxy.http import HTTPFlow
from mitmproxy.test import taddons, tflow

from llm_fallback.mitm.retention import Retention, size_of

MB = 1024 * 1024
BODY = b"x" * MB


def ended(number: int, marked: str = "") -> HTTPFlow:
    """A flow that is over, with a body of a megabyte."""
    flow = tflow.tflow(resp=True)
    flow.timestamp_created = number
    assert flow.response
    flow.response.content = BODY
    flow.marked, flow.live = marked, False
    return flow


def seen(*flows: HTTPFlow, limit: int) -> list[float]:
    """Which flows are in view in the end."""
    view, retention = View(), Retention()
    retention.limit = limit
    with taddons.context(view) as context:
        assert context.master.addons.get("view") is view
        for flow in flows:
            view.add([flow])
            retention.ended(flow)
        return [flow.timestamp_created for flow in view.resolve("@all")]


def test_the_oldest_go() -> None:
    """Down to four fifths of the bound, so that it is not reached again at once."""
    assert seen(*map(ended, range(12)), limit=10 * MB) == [3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_marked_ones_stay() -> None:
    """Those of a person, not those that only have a marker of ours."""
    flows = [ended(0, ":default:"), ended(1, ":x:"), *map(ended, range(2, 6))]
    left = seen(*flows, limit=5 * MB)
    assert 0 in left
    assert 1 not in left


def test_much_that_is_marked_is_not_looked_through_for_each_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person keeps more than the bound: then the others go a quarter of that at a time."""
    looks: list[str] = []
    resolve = View.resolve

    def looking(view: View, spec: str) -> object:
        looks.append(spec)
        return resolve(view, spec)

    monkeypatch.setattr(View, "resolve", looking)
    marked, others = [ended(number, ":default:") for number in range(8)], map(ended, range(8, 48))

    left = seen(*marked, *others, limit=4 * MB)

    assert left[:8] == [*range(8)]
    assert 8 not in left
    assert len(looks) < 24


def test_what_is_under_way_stays() -> None:
    """A flow that has not ended is not taken away from its client."""
    first = ended(0)
    first.live = True
    assert 0 in seen(first, *map(ended, range(1, 9)), limit=5 * MB)


@pytest.mark.parametrize("limit", [0, 100 * MB])
def test_nothing_goes_below_the_bound(limit: int) -> None:
    """Nor where there is none."""
    assert len(seen(*map(ended, range(8)), limit=limit)) == 8


def test_size() -> None:
    """Bodies, and something for the rest."""
    assert MB < size_of(ended(0)) < 2 * MB
    assert 0 < size_of(tflow.ttcpflow()) < MB
