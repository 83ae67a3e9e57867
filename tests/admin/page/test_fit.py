"""The page is fit for phones, keyboards, screen readers, light and dark; and for what is hostile."""

import itertools
import re
from typing import Any

import pytest

from tests.support.admin_listener import PAGE, Listener
from tests.support.admin_page import body, button, opened, shown
from tests.support.background import wait_until
from tests.support.chromium import Page
from tests.support.outage import (
    LOCAL,
    NOW,
    PRIMARY,
    attempt,
    decision,
    endpoint,
    outage,
    target,
)

XSS = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>"
CONTRAST = """
(() => {
  const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
  const rgb = colour => {
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1)
    return [...probe.getImageData(0, 0, 1, 1).data]
  }
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const under = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor)
      if (colour[3] === 255) return colour
    }
    return [255, 255, 255]
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const found = []
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement
    const text = texts.currentNode.data.trim()
    if (!text || !node.checkVisibility() || node.closest('.hearing, noscript')) continue
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(under(node))].sort((x, y) => y - x)
    found.push([(a + 0.05) / (b + 0.05), `${node.tagName}.${node.className}: ${text}`])
  }
  return found
})()
"""


@pytest.mark.parametrize("width", [360, 820])
def test_nothing_is_wider_than_the_window(page: Page, listener: Listener, width: int) -> None:
    page.look(width=width, height=740)
    opened(page, listener)
    page.click("tbody:nth-of-type(3) button")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.documentElement.clientWidth") == width
    page.click(button(page, "Fault", PRIMARY))
    assert page.evaluate("document.querySelector('#fault').getBoundingClientRect().right") <= width


def test_a_long_notice_leaves_its_button_whole(page: Page, listener: Listener) -> None:
    page.look(width=390)
    listener.refusal = f"{'word ' * 30}{'long' * 30}"
    page.click("#reload")
    page.wait_for("!document.querySelector('#notice-dismiss').hidden")
    height = "document.querySelector('%s').getBoundingClientRect().height"
    assert page.evaluate(height % "#notice-dismiss") == page.evaluate(height % "#reload")


def test_the_keyboard_is_enough(page: Page, listener: Listener) -> None:
    reached = []
    for _ in range(60):
        page.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent + document.activeElement.id"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"the focus on {reached[-1]} cannot be seen"
        if reached[-1] == f"Eject… {PRIMARY}":
            break
    assert [each.split("#")[0] for each in reached[:2]] == [
        "Skip to the targets",
        "Skip to the recent decisions",
    ]
    assert any(each.endswith("reload") for each in reached)
    page.press("Enter")
    page.wait_for("document.querySelector('#eject').open")
    assert page.evaluate("document.activeElement.name") == "for_s", "there is but one place to choose"
    page.type("5")
    page.press("Enter")
    assert body(listener, page) == ("eject", {"place": PRIMARY, "for_s": 5})
    assert page.evaluate("document.activeElement.textContent") == f"Eject… {PRIMARY}", "the focus comes back"
    page.press("Enter")
    page.press("Escape")
    page.wait_for("!document.querySelector('dialog[open]')")

    page.evaluate("document.querySelector('tbody button').focus()")
    page.press("Enter")
    page.wait_for("document.querySelector('.details')")


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_enough_contrast(page: Page, listener: Listener, dark: bool) -> None:  # noqa: FBT001
    page.look(dark=dark)
    state = outage()
    state["configuration"] |= {"is_current": False, "findings": [{"severity": "error", "text": "a finding"}]}
    shown(page, listener, state)
    page.evaluate("document.querySelector('#findings').open = true")
    page.click("tbody:nth-of-type(3) button")
    page.click(button(page, "Fault", PRIMARY))
    found: list[list[Any]] = page.evaluate(CONTRAST)
    assert len(found) > 150
    assert [each for each in found if each[0] < 4.5] == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) is dark


def test_screen_readers_get_names_landmarks_and_a_table(page: Page) -> None:
    controls = page.controls()
    assert len(controls) > 40
    assert [each for each in controls if each[0] != "RootWebArea" and not each[1].strip()] == []
    assert ("button", f"Eject… {PRIMARY}") in controls
    assert ("button", f"Return {LOCAL}@10.0.3.12:8000") in controls
    roles = {
        "banner",
        "main",
        "contentinfo",
        "search",
        "region",
        "table",
        "columnheader",
        "cell",
        "status",
        "heading",
    }
    assert roles <= page.roles()
    assert page.evaluate("[...document.querySelectorAll('[role=status]')].length") >= 4
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map(node => Number(node.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_fields_of_dialogs_have_names(page: Page) -> None:
    page.click(button(page, "Fault", PRIMARY))
    controls = page.controls()
    assert [each for each in controls if each[0] != "RootWebArea" and not each[1].strip()] == []
    assert ("spinbutton", "Of all attempts, %") in controls


@pytest.mark.parametrize("width", [390, 1280])
def test_no_port_is_broken(page: Page, listener: Listener, width: int) -> None:
    """However long the host before it is."""
    page.look(width=width)
    state = outage()
    names = [f"{'long' * length}.example.com:8080" for length in range(1, 40, 3)]
    state["targets"] += [target(name, endpoint("10.0.0.1:443")) for name in names]
    state["decisions"] = [
        decision(number, host=name, target=name, instead_of=name) for number, name in enumerate(names)
    ]
    shown(page, listener, state)
    ports = page.evaluate(
        "[...document.querySelectorAll('.whole')]"
        ".map(port => [port.textContent, port.getClientRects().length])"
    )
    assert len([text for text, _ in ports if text == ":8080"]) > 3 * len(names)
    assert {lines for _, lines in ports} <= {0, 1}


def test_what_the_proxy_says_is_text_and_nothing_else(page: Page, listener: Listener) -> None:
    state = outage()
    evil = target(f"{XSS}:80", endpoint(XSS, state="ejected", reason=XSS), model=XSS, sni=XSS)
    state |= {"targets": [evil], "hosts": [XSS], "proxy": [XSS], "version": XSS}
    state["configuration"] |= {"is_current": False, "findings": [{"severity": "error", "text": XSS}]}
    state["pins"], state["faults"] = (
        [{"host": XSS, "target": XSS}],
        [{"id": 1, "place": f"{XSS}:80", "text": XSS}],
    )
    state["timeline"] = [{"id": 1, "at": NOW, "kind": "ejected", "target": XSS, "text": XSS}]
    words = (
        "text",
        "method",
        "host",
        "path",
        "route",
        "source",
        "instead_of",
        "model",
        "request_model",
        "override",
    )
    told = dict.fromkeys(words, XSS)
    state["decisions"] = [
        decision(0, **told, id=XSS, flags=[XSS], attempts=[attempt(XSS, XSS, XSS, 0.0, 0.1)])
    ]
    shown(page, listener, state)
    page.evaluate("document.querySelector('#findings').open = true")
    page.click("tbody button")
    page.click(button(page, "Pin", f"{XSS}:80".replace('"', '\\"')))
    assert page.evaluate("document.querySelectorAll('body img, body script, [onerror]').length") == 0
    for place in (
        "#cards",
        "#overrides",
        "#timeline",
        "#findings-list",
        ".details",
        "#facts",
        "#pin",
        "#version",
    ):
        assert XSS in page.evaluate(f"document.querySelector('{place}').textContent"), place


def test_the_page_asks_nobody_but_the_proxy() -> None:
    for path in PAGE.iterdir():
        text = path.read_text().replace("http://www.w3.org/", "").replace("`http://${", "")
        assert not re.search(r"https?://(?!HOST)", text.replace(" http://${host}", "")), path.name
        assert "innerHTML" not in text, path.name


def test_what_is_wrong_with_a_page_would_be_noticed(tab: Page, listener: Listener) -> None:
    opened(tab, listener)
    tab.complaints.clear()
    for wrong in ("document.body.setAttribute('style', 'color: red')", "setTimeout(() => { throw 1 })"):
        tab.evaluate(wrong)
        wait_until(lambda: tab.complaints, "a complaint")
        tab.complaints.clear()
