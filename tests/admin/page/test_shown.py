"""What the page shows, as a person meets it in a browser."""

import json
import re

import pytest

from tests.support.admin_listener import Listener
from tests.support.admin_page import CARD, rows, shown, tell, text_of
from tests.support.background import Background
from tests.support.chromium import Page
from tests.support.outage import LOCAL, NOW, PRIMARY, SPARE, empty, endpoint, outage, target

DRAW = "document.querySelector('#find-target').dispatchEvent(new Event('input'))"


def test_an_outage_is_told_in_a_sentence_and_target_by_target(page: Page) -> None:
    assert page.text("h1") == f"{PRIMARY} is out of rotation: its requests go to {SPARE}"
    assert "Proxy 127.0.0.1:8080 · 3 hosts" in page.text("#facts")
    assert "is current" in page.text("#configuration-text")
    assert page.evaluate("document.title") == "2 out · llm-fallback"

    primary = text_of(page, CARD % PRIMARY)
    for part in (
        "ejected · back in",
        f"→ its requests go to {SPARE}",
        "198.51.100.20:443",
        "consecutive 5xx · multiplier 3 · 1 in a row",
        "941 attempts, 9 failed (< 1 %), 118 went elsewhere",
        "2 of 2 failed, last 35 s ago",
    ):
        assert part in primary
    local = text_of(page, CARD % LOCAL)
    for part in ("in rotation, 2 of 3 endpoints out", "429, retry-after 30 s", "held,", "ejected by hand"):
        assert part in local
    assert "in rotation" in text_of(page, CARD % SPARE)


@pytest.mark.parametrize(
    ("requests", "failures", "figures", "alarm"),
    [
        ([7] * 12, [0] * 12, "1.4/s", ""),
        ([0] * 11 + [14], [0] * 11 + [7], "0.2/s 7 of 14 failed", "is-failing"),
        ([2] + [0] * 11, [2] + [0] * 11, "< 0.1/s 2 of 2 failed, last 58 s ago", ""),
        ([0] * 12, [0] * 12, "0/s", ""),
    ],
)
def test_a_rate_says_of_when_it_is(
    page: Page, listener: Listener, requests: list[int], failures: list[int], figures: str, alarm: str
) -> None:
    """The present step, three seconds old here, counts; failures that are over are no alarm."""
    state = outage()
    state["now"] = NOW + 3
    nothing = [None] * 120
    state["series"]["targets"] = {
        SPARE: {"requests": [9] * 108 + requests, "failures": [9] * 108 + failures}
        | dict.fromkeys(("p50_ms", "p95_ms"), nothing)
    }
    shown(page, listener, state)
    figure = f"{CARD % SPARE} figure"
    assert text_of(page, f"{figure} figcaption") == f"Requests, last minute {figures}"
    assert page.evaluate(f"document.querySelector('{figure}').className") == alarm


def test_who_is_out_is_named_first(page: Page, listener: Listener) -> None:
    """With links to the cards, which are in the order of what there is to do about them."""
    state = outage()
    names = [f"host-{i}.example.com:80" for i in range(20)]
    out = {names[i] for i in (5, 9, 13, 17)}
    gone = {"state": "ejected", "returns_in_s": 9.0}
    state["targets"] = [
        *state["targets"][1:],
        *(target(name, endpoint("10.1.0.1:443", **(gone if name in out else {}))) for name in names),
    ]
    shown(page, listener, state)
    assert page.text("h1") == "4 of 22 targets are out of rotation"
    assert text_of(page, "#out") == f"{names[5]} {names[9]} {names[13]} and 1 more"
    cards = page.evaluate("[...document.querySelectorAll('#cards h3')].map(card => card.textContent)")
    assert cards == [names[5], names[9], names[13], names[17], LOCAL]

    page.fill("#find-target", "host-17")
    page.click("#out li:nth-child(2) a")
    assert page.evaluate("document.activeElement.textContent") == names[9]
    assert page.evaluate("document.querySelector('#find-target').value") == ""


def test_the_one_that_is_out_is_a_link(page: Page) -> None:
    assert page.evaluate("document.querySelector('#out').hidden")
    page.click("h1 a")
    assert page.evaluate("document.activeElement.textContent") == PRIMARY


def test_cards_stay_under_the_pointer(page: Page, listener: Listener, background: Background) -> None:
    """Another one that goes out does not move away what somebody is about to click on."""
    order = "[...document.querySelectorAll('#cards h3')].map(card => card.textContent).join()"
    assert page.evaluate(order) == f"{PRIMARY},{LOCAL},{SPARE}"
    page.click(f"{CARD % SPARE} .state")
    state = listener.state | {"targets": [*listener.state["targets"]]}
    gone = endpoint("203.0.113.7:443", state="ejected", returns_in_s=9.0)
    state["targets"][0] = target(PRIMARY, endpoint("198.51.100.20:443"))
    state["targets"][1] = target(SPARE, gone)
    tell(background, listener, "state", state)
    page.wait_for(f"document.querySelector('{CARD % SPARE}').matches('.is-out')")
    assert page.evaluate(order) == f"{PRIMARY},{LOCAL},{SPARE}"
    page.click("#version")
    tell(background, listener, "state", state)
    page.wait_for(f"{order} === '{SPARE},{PRIMARY},{LOCAL}'")


def test_a_card_without_attempts_leads_nowhere(page: Page, listener: Listener) -> None:
    shown(page, listener, empty())
    assert text_of(page, f"{CARD % PRIMARY} .card-foot").startswith("no attempts yet")
    assert ("button", "no attempts yet") not in page.controls()


def test_time_left_counts_down_by_itself(page: Page) -> None:
    state = json.dumps(f"{CARD % PRIMARY} .state")
    left = f"parseInt(document.querySelector({state}).textContent.match(/\\d+/))"
    at_first = page.evaluate(left)
    assert 0 < at_first <= 24
    page.wait_for(f"{left} <= {at_first - 2}")


def test_at_the_end_of_the_time_it_waits_for_the_next_sweep(page: Page, listener: Listener) -> None:
    state = outage()
    state["targets"][0]["endpoints"][0]["returns_in_s"] = 0.2
    shown(page, listener, state)
    page.wait_for(f"document.querySelector('{CARD % PRIMARY} .state').textContent.endsWith('next sweep')")


def test_charts_say_in_words_what_they_draw(page: Page) -> None:
    labels = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map(svg => svg.getAttribute('aria-label'))"
    )
    assert re.match(r"Requests of the last 10 minutes: \d+, of which 8 failed; at most [\d.]+/s", labels[0])
    assert re.match(r"Latency of the last 10 minutes: between \d+\sms and [\d.]+\ss", labels[1])
    assert page.evaluate("document.querySelector('.failed').getAttribute('d')").count("M") == 4


def test_a_decision_opens_and_tells_all(page: Page) -> None:
    page.click("tbody:nth-of-type(3) button")
    told = text_of(page, ".details")
    for part in (
        f"{PRIMARY} at 198.51.100.20:443: 503 in 340 ms",
        f"{SPARE} at 203.0.113.7:443: 200 in 420 ms, begun after 350 ms",
        "Written in config/vs.yaml:9",
        f"Rescue by default/keep-answering; after {PRIMARY}: 503",
        "qwen1.5-72b-chat; the client asked for qwen-max",
        "31 → 208 (in → out)",
    ):
        assert part in told
    ends = page.evaluate(
        "[...document.querySelectorAll('.axis .bar')]"
        ".map(bar => bar.getBoundingClientRect()).map(({left, right}) => [left, right])"
    )
    (first, lost), (second, answered), (body, end) = ends
    assert first < lost < second < answered < end
    assert body == pytest.approx(answered, abs=0.5)
    assert page.evaluate("document.querySelectorAll('[aria-expanded=true]').length") == 1
    page.click("tbody:nth-of-type(3) button")
    assert page.evaluate("document.querySelector('.details')") is None


def test_flags_are_told_in_words(page: Page) -> None:
    page.click("tbody:nth-of-type(12) button")
    assert "Flag UF no connection to the provider" in text_of(page, ".details")


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("", "all", 12),
        ("MODELS.internal", "all", 5),
        ("", "fell back", 5),
        ("", "rescued", 1),
        ("", "failed", 1),
        ("uf", "failed", 1),
        ("nowhere", "all", 0),
    ],
)
def test_decisions_can_be_filtered(page: Page, text: str, kind: str, found: int) -> None:
    page.fill("#filter-text", text)
    page.evaluate(
        f"(select => {{ select.value = '{kind}'; select.dispatchEvent(new Event('input')) }})"
        "(document.querySelector('#filter-kind'))"
    )
    assert len(rows(page)) == found
    if found < 12:
        assert page.text("#decisions-count") == f"{found} of the last 12 decisions"


def test_a_card_leads_to_its_decisions(page: Page) -> None:
    page.click(f"{CARD % LOCAL} .card-foot .plain")
    assert len(rows(page)) == 5
    assert page.evaluate("document.activeElement.id") == "filter-text"


def test_a_bad_edit_is_told_with_its_findings(page: Page, listener: Listener) -> None:
    state = outage()
    finding = "config/vs.yaml:9: VirtualService/a: spec.http[0].route: is missing [missing-field]"
    state["configuration"] |= {"is_current": False, "findings": [{"severity": "error", "text": finding}]}
    shown(page, listener, state)
    assert page.text("#configuration-text").startswith("The last edit has errors; the configuration of ")
    assert page.text("#findings-summary") == "1 finding"
    page.click("#findings-summary")
    page.wait_for("document.querySelector('#findings').open")
    assert text_of(page, "#findings-list") == f"error {finding}"


def test_before_the_first_request_it_says_how_to_send_one(page: Page, listener: Listener) -> None:
    shown(page, listener, empty())
    assert page.text("h1") == "All 2 targets are in rotation"
    assert "export HTTP_PROXY=http://127.0.0.1:8080" in page.text("#empty-commands")
    assert "curl -x http://127.0.0.1:8080 http://asm-llm-provider-test.com/" in page.text("#empty-commands")
    assert page.text("#timeline-none").startswith("Nothing has happened yet")
    assert page.text("#decisions-count") == "No request yet."


def test_of_many_targets_only_those_with_something_to_tell_are_cards(page: Page, listener: Listener) -> None:
    state = outage()
    state["targets"] += [target(f"host-{i}.example.com:80", endpoint(f"10.1.0.{i}:443")) for i in range(300)]
    shown(page, listener, state)
    assert page.evaluate("document.querySelectorAll('#cards > li').length") == 2
    assert page.text("#quiet-heading") == "301 in rotation, with nothing to tell"
    took = f"(began => {{ {DRAW}; return performance.now() - began }})(performance.now())"
    page.fill("#find-target", "host-299")
    assert page.evaluate("document.querySelectorAll('#quiet > li').length") == 1
    assert page.evaluate(took) < 2000
    page.fill("#find-target", "")
    assert page.evaluate(took) < 2000
    page.click("#quiet button")
    assert page.evaluate("document.activeElement.textContent") == SPARE
    assert page.evaluate("document.querySelectorAll('#cards > li').length") == 3
