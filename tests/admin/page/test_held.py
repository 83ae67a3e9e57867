"""A decision that somebody reads stays where it is, however many come after it."""

from tests.support.admin_listener import Listener
from tests.support.admin_page import rows, tell
from tests.support.background import Background
from tests.support.chromium import Page
from tests.support.outage import NOW, decision

TOP = "document.querySelector('.details').getBoundingClientRect().top"
NEWER = "document.querySelector('#decisions-newer')"


def come(background: Background, listener: Listener, first: int, last: int) -> None:
    """New decisions, by their numbers."""
    for number in range(first, last + 1):
        host = f"new-{number}.example.com"
        tell(background, listener, "decision", decision(0, id=f"n{number}", at=NOW + number, host=host))


def test_an_open_row_is_not_pushed_away(page: Page, listener: Listener, background: Background) -> None:
    """Not even by more than the page keeps; a button shows what came, and the row that is open then stays."""
    page.click("tbody:nth-of-type(3) button")
    held, top = rows(page), page.evaluate(TOP)
    come(background, listener, 1, 1)
    page.wait_for(f"{NEWER}.checkVisibility() && {NEWER}.textContent === '1 newer decision'")
    come(background, listener, 2, 9)
    page.wait_for(f"{NEWER}.textContent === '9 newer decisions'")
    assert rows(page) == held
    assert page.evaluate(TOP) == top

    page.click("#decisions-newer")
    assert "new-9.example.com" in rows(page)[0]
    assert page.evaluate("document.activeElement === document.querySelector('tbody button')")
    assert page.evaluate(f"{NEWER}.hidden")
    assert page.evaluate(TOP) > top

    come(background, listener, 10, 230)
    page.wait_for(f"{NEWER}.textContent === '200 newer decisions'")
    assert "new-9.example.com" in rows(page)[0]


def test_when_no_row_is_open_the_list_goes_on(page: Page, listener: Listener, background: Background) -> None:
    page.click("tbody:nth-of-type(3) button")
    come(background, listener, 1, 3)
    page.wait_for(f"{NEWER}.textContent === '3 newer decisions'")
    page.click("tbody:nth-of-type(3) button")
    page.wait_for("document.querySelector('tbody').textContent.includes('new-3.example.com')")
    assert page.evaluate(f"{NEWER}.hidden")
    come(background, listener, 4, 4)
    page.wait_for("document.querySelector('tbody').textContent.includes('new-4.example.com')")


def test_a_filter_that_hides_the_open_row_ends_it(
    page: Page, listener: Listener, background: Background
) -> None:
    """One that does not, counts what is newer and wanted."""
    page.click("tbody:nth-of-type(1) button")
    come(background, listener, 1, 3)
    page.wait_for(f"{NEWER}.textContent === '3 newer decisions'")
    page.fill("#filter-text", "asm-llm-provider")
    page.wait_for(f"{NEWER}.hidden")
    assert page.evaluate("document.querySelectorAll('.details').length") == 1
    page.fill("#filter-text", "new-2")
    assert len(rows(page)) == 1
    assert page.evaluate(f"{NEWER}.hidden")


def test_a_row_opened_while_the_page_is_paused(
    page: Page, listener: Listener, background: Background
) -> None:
    """It stays among those that were to be seen then."""
    page.click("#pause")
    held = rows(page)
    come(background, listener, 1, 3)
    page.click("tbody:nth-of-type(3) button")
    assert rows(page) == held
    page.click("#pause")
    page.wait_for(f"{NEWER}.textContent === '3 newer decisions'")
    assert rows(page) == held
