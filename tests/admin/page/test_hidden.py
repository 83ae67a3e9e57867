"""Browsers open six connections to a host, for all tabs together: a page that nobody sees holds none."""

from collections.abc import Callable

import pytest

from tests.support.admin_listener import Listener
from tests.support.admin_page import LIVE, tell
from tests.support.background import Background, wait_until
from tests.support.chromium import Page

HIDE = (
    "Object.defineProperty(document, 'hidden', {get: () => %s, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'))"
)
STATUS = "document.querySelector('#connection-text').textContent === '%s'"
CARDS = "document.querySelectorAll('#cards > li').length"


@pytest.fixture
def readers(listener: Listener, background: Background) -> Callable[[], int]:
    """How many follow the stream: one that is gone is noticed when it is told something."""

    def count() -> int:
        tell(background, listener, "nothing", {})
        return len(listener._readers)

    return count


def test_a_hidden_page_holds_no_connection(
    page: Page, listener: Listener, readers: Callable[[], int]
) -> None:
    """What happens meanwhile it shows when it is seen again."""
    page.evaluate(HIDE % "true")
    wait_until(lambda: readers() == 0, "the stream is closed")
    page.wait_for(STATUS % "paused while hidden")
    listener.state = listener.state | {"targets": []}
    assert page.evaluate(CARDS) == 3

    page.evaluate(HIDE % "false")
    page.wait_for(f"{CARDS} === 0")
    page.wait_for(LIVE)
    assert readers() == 1


def test_its_title_is_true_still(page: Page, listener: Listener, readers: Callable[[], int]) -> None:
    """It is what people see of a hidden page; nothing else is drawn."""
    assert page.evaluate("document.title") == "2 out · llm-fallback"
    listener.state = listener.state | {"targets": []}
    page.evaluate(HIDE % "true")
    page.wait_for("document.title === 'llm-fallback'")
    drawn = f"new Promise(done => requestAnimationFrame(() => done({CARDS})))"
    assert page.evaluate(drawn) == 3
    wait_until(lambda: readers() == 0, "the stream is closed")


def test_hidden_and_seen_in_quick_turns(
    page: Page, listener: Listener, background: Background, readers: Callable[[], int]
) -> None:
    """In the end one stream is open, and no look that is late takes it away."""
    for _ in range(5):
        page.evaluate(HIDE % "true" + ";" + HIDE % "false")
    page.wait_for(LIVE)
    wait_until(lambda: readers() == 1, "one stream")
    tell(background, listener, "state", listener.state | {"targets": []})
    page.wait_for(f"{CARDS} === 0")
    assert page.evaluate("document.querySelector('#connection').dataset.state") == "live"


def test_eight_tabs_of_one_browser(page: Page, listener: Listener, readers: Callable[[], int]) -> None:
    """Those behind hold nothing, so the last one is answered, and so is what it asks for."""
    tabs = [page.command("Target.createTarget", url=listener.url)["targetId"] for _ in range(7)]
    try:
        page.command("Page.bringToFront")
        page.wait_for(LIVE)
        wait_until(lambda: readers() == 1, "one stream")
        page.click("#reload")
        page.wait_for("document.querySelector('#notice-text').textContent === 'Did reload.'")
    finally:
        for each in tabs:
            page.command("Target.closeTarget", targetId=each)
