"""A saved outage, opened where none of its files are: the flows tell the story themselves."""

from pathlib import Path

import pytest

from tests.support import answers
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, http_client
from tests.support.proxy import Setting
from tests.support.rescued import STREAM, URL, Mesh, rescuing
from tests.support.saved import is_attempt, read_flows

MISSING_KEY = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {name: one}
spec: {host: one.test, configs: {defaultConfig: {openAIConfig: {apiKey: "${NOBODY_HAS_IT}"}}}}
"""


@pytest.fixture(scope="module", name="saved")
def saved_outage(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A rescued stream, with the attempt that was lost before."""
    folder = tmp_path_factory.mktemp("saved")
    file = folder / "flows.mitm"
    mesh = Mesh(primary=answers.hang_after_200, spec={"limits": {"firstToken": "5s"}})
    with (
        rescuing(mesh, background, authority, setting, folder, "-w", str(file)) as targets,
        http_client(targets.proxy) as client,
    ):
        assert client.post(URL, content=STREAM, headers=JSON).status_code == 200
    return file


@pytest.mark.parametrize("has_file", [False, True], ids=["no-configuration", "without-its-keys"])
def test_on_another_machine(has_file: bool, saved: Path, setting: Setting, tmp_path: Path) -> None:  # noqa: FBT001
    """It opens with a warning, reads as a conversation, and is saved again as it was."""
    config, again = tmp_path / "elsewhere.yaml", tmp_path / "again.mitm"
    if has_file:
        config.write_text(MISSING_KEY, encoding="utf-8")

    options = ("-n", "-r", str(saved), "-w", str(again), "--set", "flow_detail=4")
    opened = setting.run_to_end(config, *options)

    assert opened.returncode == 0, opened.stdout
    assert "no configuration is loaded" in opened.stdout
    assert "chat request: a-model, streamed" in opened.stdout
    assert "chat answer: a-model" in opened.stdout
    before, after = read_flows(saved), read_flows(again)
    assert [flow.comment for flow in after] == [flow.comment for flow in before]
    assert [flow.metadata for flow in after] == [flow.metadata for flow in before]
    assert sorted(map(is_attempt, after)) == [False, True]


def test_a_proxy_needs_its_configuration(setting: Setting, tmp_path: Path) -> None:
    """Only where nothing is served is it done without."""
    assert setting.run_to_end(tmp_path / "elsewhere.yaml").returncode == 1
