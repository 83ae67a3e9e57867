"""What is wrong at the start is said with file and line, and nothing is proxied."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.background import Background
from tests.support.clients import connect, read_to_end
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import ROOT, Proxy, Setting

RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: rule}
spec:
  host: provider.test
  trafficPolicy:
    outlierDetection:
      %s
"""
ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: entry}
spec:
  hosts: [provider.test]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
  ports:
  - name: http
    number: %s
"""


def provider(**changes: str) -> str:
    """An LLMProvider with something wrong."""
    text = (
        "apiVersion: istio.alibabacloud.com/v1beta1\n"
        "kind: LLMProvider\n"
        "metadata: {name: provider}\n"
        "spec:\n"
        "  host: provider.test\n"
        "  configs: {defaultConfig: {openAIConfig: {apiKey: sk-in-the-file}}}\n"
    )
    for before, after in changes.items():
        text = re.sub(rf"^( *{before}: ).*$", rf"\g<1>{after}", text, flags=re.MULTILINE)
    return text


def rule(setting: str) -> str:
    """A valid provider, and a DestinationRule with something wrong on line 15."""
    return f"{provider()}---\n{RULE % setting}"


BAD = {
    "missing-variable": (
        provider(configs="{defaultConfig: {openAIConfig: {apiKey: '${NOT_SET_ANYWHERE}'}}}"),
        r":6: LLMProvider/provider: spec\.configs\S*apiKey: .*NOT_SET_ANYWHERE",
    ),
    "syntax": ("apiVersion: v1\nkind: [oops\n", r":\d: .*not valid YAML"),
    "kind": (provider(kind="LLMProvidr"), r":2: .*LLMProvidr.*did you mean LLMProvider"),
    "version": (provider(apiVersion="istio.alibabacloud.com/v9"), r":1: LLMProvider/provider: apiVersion: "),
    "negative": (
        rule("consecutive5xxErrors: -1"),
        r":15: DestinationRule/rule: .*consecutive5xxErrors: .*-1",
    ),
    "no-unit": (rule("interval: 10"), r":15: DestinationRule/rule: .*interval: .*unit"),
    "half-a-millisecond": (rule("interval: 0.5ms"), r":15: DestinationRule/rule: .*interval: .*0\.5ms"),
    "days": (rule("interval: 1d"), r":15: DestinationRule/rule: .*interval: .*1d"),
    "port-0": (ENTRY % "0", r":10: ServiceEntry/entry: spec\.ports\[0\]\.number: .*1 or more"),
    "unknown-field": (
        rule("intervall: 1s"),
        r":15: DestinationRule/rule: .*intervall: .*did you mean interval",
    ),
    "duplicate-key": (rule("interval: 1s\n      interval: 2s"), r":16: .*duplicate key 'interval'"),
    "wrong-type": (ENTRY % "eighty", r":10: ServiceEntry/entry: spec\.ports\[0\]\.number: .*whole number"),
}


def assert_refused(setting: Setting, config: Path | str, expected: str, *options: str) -> str:
    """mitmdump ends with status 1 and says this in a line."""
    ended = setting.run_to_end(config, *options)
    assert ended.returncode == 1, ended.stdout
    assert re.search(expected, ended.stdout), ended.stdout
    assert "Traceback" not in ended.stdout, ended.stdout
    assert "sk-in-the-file" not in ended.stdout
    return ended.stdout


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_in_a_file(name: str, setting: Setting, tmp_path: Path) -> None:
    """One line says where it is and what is wrong."""
    text, expected = BAD[name]
    file = tmp_path / "mistake.yaml"
    file.write_text(text, encoding="utf-8")
    assert_refused(setting, file, f"(?m)^.*{re.escape(str(file))}{expected}.*\\[[a-z0-9-]+\\]$")


def test_all_mistakes_at_once(setting: Setting, tmp_path: Path) -> None:
    """Nobody has to start ten times to learn of ten mistakes, in whatever files."""
    for number, text in enumerate((rule("interval: 1d\n      intervall: 1s"), ENTRY % "0")):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    output = assert_refused(setting, tmp_path, "0.yaml:15: ")
    assert re.search(r"0\.yaml:16: .*intervall", output), output
    assert re.search(r"1\.yaml:10: .*number", output), output


def test_the_tutorials_key_is_missing(setting: Setting) -> None:
    """The variable is named, with the place that wants it."""
    expected = (
        r"config/provider\.yaml:\d+: LLMProvider/dashscope-qwen: .*apiKey: .*dashscopeAPI_KEY is not set"
    )
    assert_refused(setting.from_scratch(), "config", expected)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda folder: folder.mkdir(), r"folder: holds no \.yaml", id="empty"),
        pytest.param(lambda folder: folder.name, "folder: does not exist", id="missing"),
        pytest.param(os.mkfifo, "folder: is no regular file or folder", id="pipe"),
    ],
)
def test_a_folder_without_configuration(
    make: Callable[[Path], object], expected: str, setting: Setting, tmp_path: Path
) -> None:
    """A folder that is empty, not there, or a pipe that would be waited for in vain, is named."""
    make(tmp_path / "folder")
    assert_refused(setting, tmp_path / "folder", expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--mode", "upstream:http://127.0.0.1:1"), "mode upstream: is not supported"),
        (("--set", "proxy_debug=true"), "proxy_debug is not supported"),
        (("--set", "llm_workload=sleep"), "llm_workload: 'sleep' is not a list of labels"),
    ],
)
def test_an_option_that_cannot_be(
    options: tuple[str, ...], expected: str, setting: Setting, tmp_path: Path
) -> None:
    """What would leak keys or go past the addon is refused with a sentence."""
    config = write_mesh(tmp_path, Host(name="provider.test"))
    assert_refused(setting, config, expected, *options)


def test_an_option_that_is_not_there(setting: Setting, tmp_path: Path) -> None:
    """One that would be ours is named, with the one that was meant; others may be those of other scripts."""
    config = write_mesh(tmp_path, Host(name="provider.test"))
    with Proxy(setting, config, "--set", "llm_acess_log=log", "--set", "theirs=1") as proxy:
        proxy.wait_for_line(r"llm_acess_log: there is no such option \(did you mean llm_access_log\?\)")
        assert "theirs" not in proxy.log


def test_a_start_with_errors_serves_nobody(background: Background, setting: Setting, tmp_path: Path) -> None:
    """mitmproxy listens before it ends: whoever connects in between gets no answer."""
    server = Provider(respond())
    with background.serving(server), Proxy(setting.from_scratch(), tmp_path / "nowhere") as proxy:
        with suppress(ConnectionError), connect(proxy.port) as sock:
            sock.sendall(f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert read_to_end(sock) == b""
        assert proxy.wait() == 1
        assert not server.requests


def test_a_good_start_says_what_is_managed(setting: Setting, tmp_path: Path) -> None:
    """One line names the hosts; nothing is warned about."""
    config = write_mesh(tmp_path, Host(name="one.test"), Host(name="two.test"))
    with Proxy(setting.from_scratch(), config) as proxy:
        proxy.wait_for_line(r"managing one\.test, two\.test")
    assert not re.search(r"(?i)warn|error", proxy.log)


def test_the_addon_needs_no_particular_directory() -> None:
    """`addon/main.py` is the only module beside the package: its folder stays on `sys.path`."""
    assert [path.name for path in (ROOT / "addon").glob("*.py")] == ["main.py"]
