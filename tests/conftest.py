"""What all tests of the running proxy share: a loop for servers, an authority, mitmproxy's own CA."""

import signal
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.forking import Forks
from tests.support.proxy import ROOT, Setting

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mitmproxy calls pyparsing by names that newer versions deprecate
    import mitmproxy.io
    import mitmproxy.test.taddons  # noqa: F401 - imported here once, so that no test has to care

_OTHER_PROCESSES = frozenset({"setting", "tab"})


def pytest_configure() -> None:
    """Have SIGINT and SIGQUIT for the processes of the tests, which a job in a shell's background has not."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    _take_any_time()


def _take_any_time() -> None:
    """Have Hypothesis set examples no time: on a busy machine any of them may take a second."""
    profile = settings.get_profile(settings.get_current_profile_name())
    unmeasured = [*profile.suppress_health_check, HealthCheck.too_slow]
    settings.register_profile("unmeasured", profile, deadline=None, suppress_health_check=unmeasured)
    settings.load_profile("unmeasured")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that wait for other processes: no worker is left alone with one at the end."""
    first = {
        item.path
        for item in items
        if isinstance(item, pytest.Function) and _OTHER_PROCESSES & {*item.fixturenames}
    }
    items.sort(key=lambda item: item.path not in first)


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """Where providers run."""
    with Background() as background:
        yield background


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority that the proxies trust."""
    return Authority()


@pytest.fixture(scope="session")
def setting(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """Folders and environment of proxies; the CA that mitmproxy makes is made once."""
    folder: Path = tmp_path_factory.mktemp("proxies")
    bundle = folder / "ca.pem"
    authority.write_bundle(bundle)
    setting = Setting(folder / "confdir", bundle)
    with Forks(ROOT, setting.process_environment()) as forks:
        yield replace(setting, forks=forks if sys.platform == "linux" else None)
