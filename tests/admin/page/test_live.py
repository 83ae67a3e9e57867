"""The page follows the proxy, for as long as somebody looks."""

from tests.support.admin_listener import Listener
from tests.support.admin_page import LIVE, rows, tell
from tests.support.background import Background
from tests.support.chromium import Page
from tests.support.outage import NOW, PRIMARY, decision, empty, endpoint, outage

OPACITY = "Number(getComputedStyle(document.querySelector('main')).opacity)"


def test_what_happens_appears_as_it_happens(page: Page, listener: Listener, background: Background) -> None:
    page.evaluate("document.querySelector('h3').kept = true")
    later = {k: v for k, v in outage().items() if k not in ("decisions", "timeline")}
    later["targets"][0] |= {"in_rotation": True, "endpoints": [endpoint("198.51.100.20:443")]}
    entry = {"id": 99, "at": NOW + 1, "kind": "returned", "target": PRIMARY, "text": f"returned {PRIMARY}"}
    new = decision(99, id="new", at=NOW + 2, host="brand-new.example.com")
    tell(background, listener, "state", later)
    tell(background, listener, "timeline", entry)
    tell(background, listener, "decision", new)

    page.wait_for("document.querySelector('h1').textContent.startsWith('All 3 targets are in rotation')")
    page.wait_for(f"document.querySelector('#timeline li').textContent.endsWith('returned{PRIMARY}')")
    page.wait_for("document.querySelector('tbody').textContent.includes('brand-new.example.com')")
    assert page.text("#hearing").startswith("returned")
    assert page.evaluate("document.querySelector('h3').kept"), "cards are changed, not made anew"

    tell(background, listener, "timeline", entry | {"text": "returned twice"})
    page.wait_for("document.querySelector('#timeline li .text').textContent === 'twice'")
    assert page.evaluate("document.querySelectorAll('#timeline li').length") == 12


def test_paused_it_stays_as_it_is_until_it_goes_on(
    page: Page, listener: Listener, background: Background
) -> None:
    page.click("#pause")
    assert page.text("#connection-text") == "paused"
    seen = page.text("main")
    tell(
        background,
        listener,
        "decision",
        decision(1, id="paused", at=NOW + 9, host="while-paused.example.com"),
    )
    tell(background, listener, "state", listener.state | {"targets": []})
    page.wait_for("document.title === 'llm-fallback'")  # it has come
    assert page.text("main") == seen
    page.click("#pause")
    page.wait_for("document.querySelector('tbody').textContent.includes('while-paused.example.com')")


def test_it_comes_back_when_the_proxy_does(page: Page, listener: Listener, background: Background) -> None:
    background.run(listener.stop())
    page.wait_for("document.querySelector('#connection').dataset.state === 'reconnecting'")
    assert page.text("h1") == "No answer from the proxy; as of 09:22:00"
    assert page.evaluate("document.title") == "no answer · llm-fallback"
    assert page.evaluate(OPACITY) < 1
    page.click("#reload")
    page.wait_for("document.querySelector('#notice-text').textContent.includes('cannot be reached')")
    state = empty() | {"started_at": NOW + 60}
    state["decisions"] = [decision(0, id="after", host="after-the-restart.example.com")]
    listener.state = state
    background.run(listener.start())
    page.wait_for(LIVE)
    page.wait_for("document.querySelectorAll('tbody').length === 1")
    assert page.text("h1") == "All 2 targets are in rotation"
    assert page.evaluate("document.title") == "llm-fallback"
    assert page.evaluate(OPACITY) == 1
    assert "after-the-restart.example.com" in rows(page)[0]
    assert page.text("#timeline-none").startswith("Nothing has happened yet")
    tell(background, listener, "decision", decision(1, id="more", at=NOW + 70))
    page.wait_for("document.querySelectorAll('tbody').length === 2")
