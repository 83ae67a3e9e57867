"""What tests of the admin page do with it: look, and operate what is there."""

import json
import re

from tests.support.admin_listener import Listener
from tests.support.background import Background
from tests.support.chromium import Page
from tests.support.outage import Data

LIVE = "document.querySelector('#connection').dataset.state === 'live'"
CARD = '[data-target="%s"]'


def opened(page: Page, listener: Listener) -> None:
    """Go to the page, until it is live."""
    page.navigate(listener.url)
    page.wait_for(f"{LIVE} && !document.querySelector('#facts').matches(':empty')")


def shown(page: Page, listener: Listener, state: Data) -> None:
    """Go to the page of a proxy in that state."""
    listener.state = state
    opened(page, listener)


def text_of(page: Page, selector: str) -> str:
    """The text, with all white space alike."""
    return re.sub(r"\s+", " ", page.text(selector))


def rows(page: Page) -> list[str]:
    """The decisions that are shown."""
    found = page.evaluate(
        "[...document.querySelectorAll('tbody > tr:first-child')].map(row => row.innerText)"
    )
    return [re.sub(r"\s+", " ", row) for row in found]


def tell(background: Background, listener: Listener, event: str, data: Data) -> None:
    """Have the proxy tell what has happened."""
    background.run(listener.tell(event, data))


def body(listener: Listener, page: Page) -> tuple[str, Data]:
    """What was asked for last, when the page has told of the answer."""
    page.wait_for("document.querySelector('#notice-text').textContent.startsWith('Did ')")
    asked = listener.asked[-1]
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Sec-Fetch-Site"] == "same-origin"
    assert asked.headers["Origin"] == listener.url.rstrip("/")
    return asked.name, asked.body


def button(page: Page, name: str, target: str) -> str:
    """A selector for a button of a card."""
    page.evaluate(
        f"[...document.querySelectorAll({json.dumps(CARD % target + ' .card-foot button')})]"
        f".find(button => button.textContent.startsWith({json.dumps(name)})).id = 'wanted'"
    )
    return "#wanted"
