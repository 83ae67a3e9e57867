"""Each action of the page asks the proxy for the right thing, and shows its answer."""

import json

import pytest

from tests.support.admin_listener import Listener
from tests.support.admin_page import CARD, body, button, shown
from tests.support.chromium import Page
from tests.support.outage import LOCAL, PRIMARY, SPARE, Data, outage

BY_HAND = f"{LOCAL}@10.0.3.13:8000"


def test_eject(page: Page, listener: Listener) -> None:
    page.click(button(page, "Eject", LOCAL))
    page.evaluate("document.querySelector('#eject select').selectedIndex = 1")
    page.fill("#eject [name=for_s]", "45")
    page.click("#eject .primary")
    assert body(listener, page) == ("eject", {"place": f"{LOCAL}@10.0.3.11:8000", "for_s": 45})


def test_eject_until_it_is_returned(page: Page, listener: Listener) -> None:
    page.click(button(page, "Eject", SPARE))
    page.click("#eject .primary")
    assert body(listener, page) == ("eject", {"place": SPARE})
    assert not page.evaluate("document.querySelector('dialog[open]')")


def test_pin_offers_the_target_that_answers_now(page: Page, listener: Listener) -> None:
    page.click(button(page, "Pin", PRIMARY))
    page.click("#pin .primary")
    assert body(listener, page) == ("pin", {"host": "asm-llm-provider-test.com", "target": SPARE})


def test_pin_prefers_the_fallback_of_the_rule(page: Page, listener: Listener) -> None:
    """Enter pins from a list, too; in one that is open it would choose."""
    state = outage()
    state["targets"][0]["fallback"] = LOCAL
    shown(page, listener, state)
    page.click(button(page, "Pin", PRIMARY))
    assert page.evaluate("document.activeElement.name") == "target"
    page.press("Enter")
    assert body(listener, page) == ("pin", {"host": "asm-llm-provider-test.com", "target": LOCAL})


@pytest.mark.parametrize(
    ("name", "target", "field"),
    [("Eject", PRIMARY, "for_s"), ("Eject", LOCAL, "place"), ("Fault", PRIMARY, "kind")],
)
def test_a_dialog_begins_with_its_first_question(page: Page, name: str, target: str, field: str) -> None:
    page.click(button(page, name, target))
    assert page.evaluate("document.activeElement.name") == field


@pytest.mark.parametrize("line", ["retry-after 5", ": 5"])
def test_a_header_that_is_none_is_not_sent(page: Page, listener: Listener, line: str) -> None:
    page.click(button(page, "Fault", PRIMARY))
    page.fill("#fault [name=headers]", f"x-a: b\n{line}")
    page.click("#fault .primary")
    page.wait_for("document.querySelector('#fault .problem').checkVisibility()")
    assert page.text("#fault .problem") == f"“{line}” is no header; write NAME: VALUE"
    page.fill("#fault [name=headers]", "x-a: b")
    page.click("#fault .primary")
    name, asked = body(listener, page)
    assert (name, asked["fault"]["headers"]) == ("fault", {"x-a": "b"})
    assert len(listener.asked) == 1


@pytest.mark.parametrize(
    ("kind", "fields", "fault"),
    [
        ("status", {}, {"status": 503, "percentage": 100}),
        (
            "status",
            {
                "status": "429",
                "headers": "retry-after: 5\nx-a: b:c",
                "body": "slow",
                "count": "3",
                "percentage": "50",
            },
            {
                "status": 429,
                "headers": {"retry-after": "5", "x-a": "b:c"},
                "body": "slow",
                "count": 3,
                "percentage": 50,
            },
        ),
        ("delay", {"delay_s": "1.5"}, {"delay_s": 1.5, "percentage": 100}),
        ("reset", {}, {"percentage": 100}),
        ("hang", {"count": "1"}, {"percentage": 100, "count": 1}),
        ("connect-failure", {}, {"percentage": 100}),
        ("cut", {}, {"percentage": 100}),
    ],
)
def test_faults(page: Page, listener: Listener, kind: str, fields: dict[str, str], fault: Data) -> None:
    page.click(button(page, "Fault", PRIMARY))
    page.evaluate(
        f"(select => {{ select.value = '{kind}'; select.dispatchEvent(new Event('change')) }})"
        "(document.querySelector('#fault [name=kind]'))"
    )
    for name, value in fields.items():
        page.fill(f"#fault [name={name}]", value)
    page.click("#fault .primary")
    assert body(listener, page) == ("fault", {"place": PRIMARY, "fault": {"kind": kind, **fault}})


@pytest.mark.parametrize(
    ("selector", "asked"),
    [
        (f"{CARD % PRIMARY} .card-foot .buttons button", ("return", {"place": PRIMARY})),
        (
            f"{CARD % LOCAL} .endpoints li:nth-child(3) button",
            ("return", {"place": BY_HAND}),
        ),
        ("#overrides-list li:nth-child(1) button", ("clear", {"what": LOCAL})),
        ("#overrides-list li:nth-child(2) button", ("return", {"place": BY_HAND})),
        ("#clear-all", ("clear", {"what": "all"})),
        ("#reload", ("reload", {})),
    ],
)
def test_what_needs_no_question(
    page: Page, listener: Listener, selector: str, asked: tuple[str, Data]
) -> None:
    page.click(selector)
    assert body(listener, page) == asked


def test_a_refusal_is_shown_where_it_can_be_put_right(page: Page, listener: Listener) -> None:
    listener.refusal = "the last endpoint of models.internal:8000 cannot be ejected"
    page.click(button(page, "Eject", LOCAL))
    page.click("#eject .primary")
    page.wait_for(f"document.querySelector('#eject .problem').textContent === {json.dumps(listener.refusal)}")
    assert page.evaluate("document.querySelector('#eject').open")
    page.press("Escape")
    page.click("#reload")
    page.wait_for(
        f"document.querySelector('#notice.is-problem p').textContent === {json.dumps(listener.refusal)}"
    )
    page.click("#notice-dismiss")
    assert page.text("#notice-text") == ""
