"""What is read of the places that people name."""

import io
import os
from pathlib import Path

import pytest

from llm_fallback.config import files as reading
from llm_fallback.config import load
from llm_fallback.config.files import Source, read_files
from tests.config.written import entry, provider

NO_FILE = "is no regular file or folder (write what it gives into a file, and name that) [no-configuration]"


def names(*paths: Path) -> list[str]:
    """Source names, and findings as they print."""
    return [read.name if isinstance(read, Source) else str(read) for read in read_files(paths)]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_mounted_config_map() -> None:
    """Kubernetes keeps the versions in hidden folders and links to the newest: each file is read once."""
    for version in ("..2024_01_01", "..2024_02_02"):
        Path("mount", version).mkdir(parents=True)
        Path("mount", version, "vs.yaml").write_text(f"a: {version}")
    Path("mount/..data").symlink_to("..2024_02_02")
    Path("mount/vs.yaml").symlink_to("..data/vs.yaml")

    assert list(read_files([Path("mount")])) == [Source("mount/vs.yaml", b"a: ..2024_02_02")]


def test_hidden_files_are_left_out() -> None:
    """Editors keep copies and locks there."""
    for name in (".vs.yaml", "._vs.yaml", "vs.yaml", "VS2.YAML", "vs.yaml~", "vs.yaml.swp"):
        Path(name).write_text("a: 1")

    assert names(Path()) == ["VS2.YAML", "vs.yaml"]


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param([".", "a.yaml"], id="folder-and-file"),
        pytest.param(["a.yaml", "./a.yaml", "."], id="twice"),
        pytest.param(["link.yaml", "."], id="link"),
    ],
)
def test_a_file_is_read_once(paths: list[str]) -> None:
    """However often it is named."""
    Path("a.yaml").write_text("a: 1")
    Path("link.yaml").symlink_to("a.yaml")

    assert len(names(*map(Path, paths))) == 1


def test_what_cannot_be_read() -> None:
    """Is named as it was written, with the place that a relative path means."""
    Path("dangling.yaml").symlink_to("nowhere")
    Path("loop.yaml").symlink_to("loop.yaml")

    assert names(Path("gone.yaml"), Path("/gone.yaml"), Path("x\0y"), Path("n" * 5000), Path()) == [
        f"gone.yaml: does not exist (correct the path; it means {Path.cwd()}/gone.yaml) [no-configuration]",
        "/gone.yaml: does not exist (correct the path) [no-configuration]",
        "x\\x00y: cannot be read: not a path [no-configuration]",
        f"{'n' * 300}...: cannot be read: File name too long [no-configuration]",
        "dangling.yaml: cannot be read: No such file or directory [no-configuration]",
        "loop.yaml: cannot be read: Too many levels of symbolic links [no-configuration]",
    ]


def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the limit is read of it, even if it never ends."""
    monkeypatch.setattr(reading, "MAX_BYTES", 1024**2)
    Path("a.yaml").write_bytes(b"#" * 1024**2)
    Path("b.yaml").write_bytes(b"#" * (1024**2 + 1))

    assert names(Path("a.yaml"), Path("b.yaml")) == [
        "a.yaml",
        "b.yaml: is larger than 1 MiB (split it) [too-large]",
    ]


def test_standard_input() -> None:
    """`-`, where there is one; a file called - can be had as ./-."""
    loaded = load([Path("-"), Path("-")], {}, stdin=io.BytesIO(provider().encode() + entry(x="1").encode()))

    assert [str(finding) for finding in loaded.findings] == [
        "<stdin>:14: ServiceEntry/b: spec.x: unknown field [unknown-field]"
    ]
    assert load([Path("-")], {}).findings[0].problem == "does not exist"


def test_a_shells_pipe() -> None:
    """What `<(...)` gives is for those who read once, as they do standard input; for others it is no file."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"a: 1")
    named = Path(f"/dev/fd/{reading}")
    try:
        assert names(named) == [f"{named}: {NO_FILE}"]
        assert list(read_files([named], io.BytesIO())) == [Source(str(named), b"a: 1")]
    finally:
        os.close(reading)


@pytest.mark.parametrize("stdin", [None, io.BytesIO()])
def test_what_is_no_file(stdin: io.BytesIO | None) -> None:
    """It is not opened: a pipe that nobody writes to would make the load wait for ever."""
    os.mkfifo("b.yaml")

    found = [str(read) for read in read_files([Path("b.yaml"), Path("/dev/zero"), Path()], stdin)]

    assert found[:2] == [f"b.yaml: {NO_FILE}", f"/dev/zero: {NO_FILE}"]
    assert "holds no .yaml" in found[2]
