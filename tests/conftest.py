"""What all tests of the running proxy share: a loop for servers, an authority, mitmproxy's own CA."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.proxy import Setting

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mitmproxy calls pyparsing by names that newer versions deprecate
    import mitmproxy.io
    import mitmproxy.test.taddons  # noqa: F401 - imported here once, so that no test has to care


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
def setting(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Folders and environment of proxies; the CA that mitmproxy makes is made once."""
    folder: Path = tmp_path_factory.mktemp("proxies")
    bundle = folder / "ca.pem"
    authority.write_bundle(bundle)
    return Setting(folder / "confdir", bundle)
