"""One browser, and for each test a page of its own."""

from collections.abc import Iterator

import pytest

from tests.support.admin_listener import Listener, listening
from tests.support.admin_page import opened
from tests.support.background import Background
from tests.support.chromium import CHROMIUM, Page, browsing
from tests.support.outage import outage


@pytest.fixture(scope="session")
def tab(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with browsing(background, tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture
def listener(background: Background) -> Iterator[Listener]:
    """A proxy in an outage."""
    with background.serving(listening(outage())) as listener:
        yield listener


@pytest.fixture
def page(tab: Page, listener: Listener) -> Iterator[Page]:
    """Its page, live; at the end, the browser must have found nothing wrong with it."""
    tab.look()
    opened(tab, listener)
    tab.complaints.clear()
    yield tab
    assert tab.complaints == []
