"""What a reload replaces, and what is known of it afterwards."""

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llm_fallback.config import Loaded, Severity, Snapshot, load
from llm_fallback.config.in_force import Configuration, Sources
from llm_fallback.mitm import reload
from llm_fallback.mitm.reload import NOTHING_LOADED, BadConfigurationError, Reloader
from tests.support.mesh import Host, write_mesh

DEADLINE_S = 30.0
BAD = "apiVersion: istio.alibabacloud.com/v1beta1\nkind: LLMProvidr\n"


@dataclass
class Stage:
    """A reloader whose clock counts its readings, and what it has adopted."""

    folder: Path
    adopted: list[Snapshot] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    defect: Exception | None = None
    time: float = 0.0

    def __post_init__(self) -> None:
        self.reloader = Reloader(adopt=self.adopt, refused=self.refused.append, wall_clock=self.clock)
        self.sources = Sources((self.write("first.test"),))

    @property
    def configuration(self) -> Configuration:
        return self.reloader.configuration

    def clock(self) -> float:
        self.time += 1.0
        return self.time

    def adopt(self, snapshot: Snapshot) -> None:
        if self.defect:
            raise self.defect
        self.adopted.append(snapshot)

    def write(self, *names: str) -> Path:
        return write_mesh(self.folder, *(Host(name=name) for name in names))

    def spoil(self) -> None:
        self.sources.paths[0].write_text(BAD, encoding="utf-8")

    def unmanage(self) -> None:
        documents = self.write("first.test").read_text(encoding="utf-8").split("---\n")
        rules = [document for document in documents if "kind: DestinationRule" in document]
        self.sources.paths[0].write_text("---\n".join(rules), encoding="utf-8")

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of tests
                await asyncio.sleep(0.01)

    def play(self, scene: Callable[["Stage"], Coroutine[None, None, None]]) -> None:
        """Run a scene with the reloader started, without its watcher."""

        async def main() -> None:
            self.reloader.watch(is_on=False)
            self.reloader.start()
            await scene(self)
            self.reloader.stop()

        asyncio.run(main())


@pytest.fixture(name="stage")
def reloader(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "mesh")


def test_the_first(stage: Stage) -> None:
    """Before it, nothing is in force."""
    assert stage.configuration == Configuration()
    stage.reloader.switch_to(stage.sources)
    assert stage.configuration == Configuration(
        stage.sources, 1.0, stage.configuration.findings, is_current=True
    )
    assert [snapshot.manages("first.test") for snapshot in stage.adopted] == [True]


def test_other_sources_that_are_bad(stage: Stage) -> None:
    """They are refused with all their errors, and nothing changes."""
    stage.reloader.switch_to(stage.sources)
    before = stage.configuration
    with pytest.raises(
        BadConfigurationError, match=r"^\S*neither: does not exist .*\n\S*nowhere: does not exist"
    ):
        stage.reloader.switch_to(Sources((stage.folder / "nowhere", stage.folder / "neither")))
    assert stage.configuration is before


def test_the_same_sources_that_have_become_bad(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """An option that is set again, or a script that is loaded anew, does not end what works."""
    stage.reloader.switch_to(stage.sources)
    stage.spoil()
    stage.reloader.switch_to(stage.sources)
    assert (stage.configuration.is_current, stage.configuration.loaded_at, len(stage.adopted)) == (
        False,
        1.0,
        1,
    )
    assert [finding.severity for finding in stage.configuration.findings].count(Severity.ERROR) >= 1
    assert caplog.messages.count(caplog.messages[-1]) == 1
    assert caplog.messages[-1].endswith("the one before stays in force")


def test_a_bad_edit_and_its_repair(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """What is in force stays until then; each edit is spoken of once, however often it is noticed."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        stage.spoil()
        stage.reloader.notice()
        await stage.until(lambda: not stage.configuration.is_current)
        said = list(caplog.messages)
        await stage.reloader._reload(stage.reloader._digest)
        assert caplog.messages == said
        stage.write("first.test", "second.test")
        stage.reloader.notice()
        await stage.until(lambda: stage.configuration.is_current)

    stage.play(scene)
    assert stage.configuration.loaded_at == 2.0
    assert [snapshot.manages("second.test") for snapshot in stage.adopted] == [False, True]


def test_without_a_configuration_there_is_nothing_to_watch(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody looks at saved flows: one that is set later is loaded, and watched from then on."""

    caplog.set_level(logging.INFO)

    async def scene(stage: Stage) -> None:
        stage.reloader.watch(is_on=True)
        assert await stage.reloader.load() == NOTHING_LOADED
        assert [record.levelname for record in caplog.records] == ["INFO"]
        assert len(asyncio.all_tasks()) == 2
        stage.reloader.switch_to(stage.sources)
        assert len(asyncio.all_tasks()) == 3

    stage.play(scene)


def test_what_was_bad_and_is_as_before(stage: Stage) -> None:
    """Taking an edit back is an edit."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        stage.spoil()
        stage.reloader.notice()
        await stage.until(lambda: not stage.configuration.is_current)
        stage.write("first.test")
        stage.reloader.notice()
        await stage.until(lambda: stage.configuration.is_current)

    stage.play(scene)
    assert len(stage.adopted) == 2


def test_a_demand_while_nothing_has_changed(stage: Stage) -> None:
    """It is fulfilled; being woken up alone is not one."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        await stage.reloader._reload(stage.reloader._digest)
        assert len(stage.adopted) == 1
        stage.reloader.demand()
        await stage.until(lambda: len(stage.adopted) == 2)

    stage.play(scene)


def test_what_came_of_it(stage: Stage) -> None:
    """Whoever asks for a reload and waits learns what keeps the files from being in force."""

    async def scene(stage: Stage) -> None:
        load = stage.reloader.load
        stage.reloader.switch_to(stage.sources)
        assert await load() is None
        stage.spoil()
        given_up = asyncio.create_task(load())
        await asyncio.sleep(0)
        given_up.cancel()
        one, other = await asyncio.gather(load(), load())
        assert one == other
        assert one
        assert re.match(r"\S*mesh\.yaml:2: .*did you mean LLMProvider", one)
        stage.sources.paths[0].write_text(f"{BAD}---\n{BAD}---\n{BAD}", encoding="utf-8")
        several = await load()
        assert several
        assert several.endswith("(and 2 more errors)")
        stage.unmanage()
        assert await load() == (
            "the configuration manages no host any more and is not replaced: the one before stays in force"
        )
        stage.defect = LookupError("sk-secret")
        stage.write("first.test")
        assert await load() == "the configuration is not replaced: LookupError while loading it"

    stage.play(scene)
    assert len(stage.adopted) == 2


def test_an_option_that_is_set_while_files_are_read(stage: Stage) -> None:
    """It is newer: what was being read is dropped."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        reading = asyncio.create_task(stage.reloader._reload(None))
        await asyncio.sleep(0)  # it has begun, in its thread
        stage.reloader.switch_to(Sources(stage.sources.paths, {"app": "a"}))
        await reading

    stage.play(scene)
    assert (len(stage.adopted), stage.configuration.sources.workload) == (2, {"app": "a"})


def test_a_defect(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """It is named without its message, which may quote a file, and the next edit is loaded."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        stage.defect = LookupError("sk-secret")
        stage.reloader.demand()
        await stage.until(lambda: "LookupError" in caplog.text)
        assert not stage.configuration.is_current
        stage.defect = None
        stage.reloader.demand()
        await stage.until(lambda: stage.configuration.is_current)

    stage.play(scene)
    assert "sk-secret" not in caplog.text
    assert len(stage.adopted) == 2


def test_watching_can_be_turned_off_and_on(stage: Stage) -> None:
    """Whatever was written meanwhile is loaded then."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        stage.write("first.test", "second.test")
        assert asyncio.all_tasks() - {asyncio.current_task()} == {stage.reloader._server}
        stage.reloader.watch(is_on=True)
        await stage.until(lambda: len(stage.adopted) == 2)
        stage.reloader.watch(is_on=False)
        await stage.until(lambda: len(asyncio.all_tasks()) == 2)

    stage.play(scene)


def test_requests_are_answered_while_a_configuration_is_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop turns meanwhile: this one is not read before it has."""
    has_begun, has_turned = threading.Event(), threading.Event()

    def load_later(*arguments: Any) -> Loaded:
        has_begun.set()
        assert has_turned.wait(DEADLINE_S)
        return load(*arguments)

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        monkeypatch.setattr(reload, "load", load_later)
        stage.write("second.test")
        stage.reloader.demand()
        await stage.until(has_begun.is_set)
        has_turned.set()
        await stage.until(lambda: len(stage.adopted) == 2)

    stage.play(scene)


def test_a_configuration_that_manages_nothing_any_more_replaces_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that was moved away, say: requests would pass straight through, with the client's own key."""

    async def scene(stage: Stage) -> None:
        stage.reloader.switch_to(stage.sources)
        stage.unmanage()
        stage.reloader.demand()
        await stage.until(lambda: not stage.configuration.is_current)

    stage.play(scene)
    assert [list(snapshot.virtual_hosts) for snapshot in stage.adopted] == [["first.test"]]
    assert "the configuration manages no host any more and is not replaced" in caplog.text
