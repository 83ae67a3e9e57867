"""What is watched, and what counts as a change: editors, mounts and people replace files in many ways."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_fallback.config import watch

DEADLINE_S = 30.0


def config_map(mount: Path, version: str, content: str) -> None:
    """What Kubernetes does to a mounted ConfigMap: a new folder, and one link that moves to it at once."""
    (mount / f"..{version}").mkdir(parents=True)
    (mount / f"..{version}" / "mesh.yaml").write_text(content)
    (mount / "..new").symlink_to(f"..{version}")
    (mount / "..new").rename(mount / "..data")
    if not (mount / "mesh.yaml").is_symlink():
        (mount / "mesh.yaml").symlink_to("..data/mesh.yaml")


def plain(root: Path) -> Path:
    file = root / "mesh.yaml"
    file.write_text("before")
    return file


def folder(root: Path) -> Path:
    (root / "folder").mkdir()
    (root / "folder" / "mesh.yaml").write_text("before")
    (root / "folder" / "README.md").write_text("before")
    return root / "folder"


def mount(root: Path) -> Path:
    config_map(root / "mount", "1", "before")
    return root / "mount"


def mounted_file(root: Path) -> Path:
    return mount(root) / "mesh.yaml"


def link(root: Path) -> Path:
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "real.yaml").write_text("before")
    (root / "links").mkdir()
    (root / "links" / "mesh.yaml").symlink_to("../links/../elsewhere/real.yaml")
    return root / "links" / "mesh.yaml"


def missing(root: Path) -> Path:
    return root / "not" / "yet" / "mesh.yaml"


def save(path: Path) -> None:
    path.write_text("after, and longer")


def save_by_rename(path: Path) -> None:
    path.with_suffix(".tmp").write_text("after!")
    path.with_suffix(".tmp").rename(path)


def save_with_backup(path: Path) -> None:
    path.rename(path.with_name("mesh.yaml~"))
    path.write_text("after!")


def swap(path: Path) -> None:
    config_map(path if path.is_dir() else path.parent, "2", "after!")


def replace_the_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()
    save(path / "mesh.yaml")  # longer: the new file may be the old one's inode, within a tick of the clock


def appear(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("after!")


CHANGES = [
    pytest.param(plain, save, id="saved-in-place"),
    pytest.param(plain, save_by_rename, id="saved-by-rename"),
    pytest.param(plain, save_with_backup, id="saved-with-a-backup"),
    pytest.param(plain, Path.unlink, id="deleted"),
    pytest.param(folder, lambda path: save(path / "mesh.yaml"), id="saved-in-a-folder"),
    pytest.param(folder, lambda path: save(path / "more.yml"), id="a-folder-gains-a-file"),
    pytest.param(folder, lambda path: (path / "mesh.yaml").unlink(), id="a-folder-loses-a-file"),
    pytest.param(folder, replace_the_folder, id="a-folder-is-replaced"),
    pytest.param(folder, shutil.rmtree, id="a-folder-is-deleted"),
    pytest.param(mount, swap, id="config-map"),
    pytest.param(mounted_file, swap, id="a-file-of-a-config-map"),
    pytest.param(link, lambda path: save(path.resolve()), id="the-target-of-a-link-is-saved"),
    pytest.param(link, save_by_rename, id="a-link-is-replaced"),
    pytest.param(missing, appear, id="a-folder-appears"),
]


@pytest.mark.parametrize(("layout", "change"), CHANGES)
def test_a_change_is_noticed(
    layout: Callable[[Path], Path], change: Callable[[Path], object], tmp_path: Path
) -> None:
    """Once, and so is the next one in the same place."""
    path = layout(tmp_path)
    before = watch.digest([path])

    async def noticed() -> None:
        wakes = asyncio.Event()
        following = asyncio.create_task(watch.follow([path], wakes.set, heartbeat_s=0.2))
        async with asyncio.timeout(DEADLINE_S):
            await wakes.wait()  # the first, for what happened before
            wakes.clear()
            change(path)
            await wakes.wait()
            wakes.clear()
            assert watch.digest([path]) != before
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == "":
                path.mkdir(exist_ok=True)
            save(path if path.suffix else path / "another.yaml")
            await wakes.wait()
        following.cancel()
        await asyncio.wait([following])
        assert following.cancelled()

    asyncio.run(noticed())


@pytest.mark.parametrize("polls", ["", "true"], ids=["events", "polling"])
def test_no_heartbeat_is_needed(polls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is enough, as soon as it is listened for."""
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", polls)
    path = plain(tmp_path)

    async def noticed() -> None:
        changes = 0

        def count() -> None:
            nonlocal changes
            changes += 1

        following = asyncio.create_task(watch.follow([path], count, heartbeat_s=DEADLINE_S * 10))
        async with asyncio.timeout(DEADLINE_S):
            while changes < 2:
                save(path)
                await asyncio.sleep(watch.QUIET_S * 3)
        following.cancel()
        await asyncio.wait([following])

    asyncio.run(noticed())


def test_no_event_is_needed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the system gives none, that is said, and the files are looked at instead."""
    resource = pytest.importorskip("resource")
    path = plain(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def noticed() -> None:
        wakes = asyncio.Event()
        following = asyncio.create_task(watch.follow([path], wakes.set, heartbeat_s=0.1))
        async with asyncio.timeout(DEADLINE_S):
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no file can be opened, and no inotify
            try:
                while "no file events" not in caplog.text:  # noqa: ASYNC110 - logging knows no Event
                    await asyncio.sleep(0.01)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            wakes.clear()
            save(path)
            await wakes.wait()
        following.cancel()
        await asyncio.wait([following])

    asyncio.run(noticed())


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        pytest.param(plain, {"."}, id="file"),
        pytest.param(folder, {"folder"}, id="folder"),
        pytest.param(mount, {"mount", "mount/..1"}, id="config-map"),
        pytest.param(mounted_file, {"mount", "mount/..1"}, id="a-file-of-a-config-map"),
        pytest.param(link, {"links", "elsewhere"}, id="link"),
        pytest.param(missing, {"."}, id="missing"),
    ],
)
def test_the_folders_that_are_watched(
    layout: Callable[[Path], Path], expected: set[str], tmp_path: Path
) -> None:
    """Wherever the way to a file can turn."""
    root = tmp_path.resolve()
    assert watch.folders([layout(root)]) == {root / name for name in expected}


def test_links_in_a_circle(tmp_path: Path) -> None:
    """They lead nowhere, and the search for their end has one."""
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert watch.folders([tmp_path / "a.yaml"]) == {tmp_path.resolve()}
    assert watch.stamps([tmp_path / "a.yaml"]) == {str(tmp_path / "a.yaml"): ()}
    assert watch.digest([tmp_path / "a.yaml"])


def test_what_is_no_change(tmp_path: Path) -> None:
    """Other files in the folder, and a file that is written as it was."""
    path = folder(tmp_path)
    stamps, digest = watch.stamps([path]), watch.digest([path])
    save(path / "README.md")
    (path / "deeper.yaml").mkdir()
    assert watch.stamps([path]) == stamps
    os.utime(path / "mesh.yaml", ns=(1, 1))
    (path / "deeper.yaml").rmdir()
    assert watch.stamps([path]) != stamps
    assert watch.digest([path]) == digest


def test_contents_that_move_between_files(tmp_path: Path) -> None:
    """The digest tells them apart, whatever the names hold."""
    path = folder(tmp_path)
    (path / "a.yaml").write_text("1")
    (path / "b.yaml").write_text("2")
    first = watch.digest([path])
    (path / "a.yaml").write_text("2")
    (path / "b.yaml").write_text("1")
    assert watch.digest([path]) != first
