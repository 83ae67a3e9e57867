"""The file: appended to, rotated by others, and never in the way."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from llm_fallback.telemetry.lines import Lines


def lines(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_appended(tmp_path: Path) -> None:
    """To what is there, one for each entry, whatever is in it; only the owner's group may read it."""
    path = tmp_path / "access.log"
    log = Lines(str(path), "llm_access_log")
    mode = path.stat().st_mode
    log.add({"a": "line\nbreak \udcff é"})
    log.close()

    log = Lines(str(path), "llm_access_log")
    log.add({"b": None})

    assert lines(path) == [{"a": "line\nbreak \udcff é"}, {"b": None}]
    assert not mode & (stat.S_IRWXO | stat.S_IXUSR)


def test_rotation(tmp_path: Path) -> None:
    """A file that was renamed stays as it was, and one that was removed comes again."""
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    log = Lines(str(path), "llm_access_log")
    log.add({"n": 1})
    path.rename(old)
    log.add({"n": 2})
    log.add({"n": 3})
    assert (lines(old), lines(path)) == ([{"n": 1}], [{"n": 2}, {"n": 3}])

    path.unlink()
    log.add({"n": 4})
    assert lines(path) == [{"n": 4}]


def test_truncation(tmp_path: Path) -> None:
    """As copytruncate does: nothing but what comes after it."""
    path = tmp_path / "access.log"
    log = Lines(str(path), "llm_access_log")
    log.add({"n": 1})
    os.truncate(path, 0)
    log.add({"n": 2})

    assert lines(path) == [{"n": 2}]


def test_a_disk_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Costs lines and one warning each time that it fails, and nothing else."""
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "access.log"
    log = Lines(str(path), "llm_access_log")
    gone = tmp_path / "gone"
    folder.rename(gone)
    log.add({"n": 1})
    log.add({"n": 2})
    assert [record.getMessage() for record in caplog.records] == [
        f"llm_access_log: {path}: No such file or directory; lines are lost, requests are not"
    ]

    gone.rename(folder)
    log.add({"n": 3})
    folder.rename(gone)
    log.add({"n": 4})
    assert lines(gone / "access.log") == [{"n": 3}]
    assert len(caplog.records) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(caplog: pytest.LogCaptureFixture) -> None:
    """Is said once."""
    log = Lines("/dev/full", "llm_access_log")
    log.add({"n": 1})
    log.add({"n": 2})

    assert [record.getMessage() for record in caplog.records] == [
        "llm_access_log: /dev/full: No space left on device; lines are lost, requests are not"
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_that_nobody_reads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Does not hold up a request: what does not fit is lost."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = Lines(str(path), "llm_access_log")
    for _ in range(100):
        log.add({"text": "x" * 10_000})

    assert len(caplog.records) >= 1
    assert os.read(reader, 9) == b'{"text":"'
    os.close(reader)
    log.close()


def test_a_file_that_cannot_be(tmp_path: Path) -> None:
    """Is an error when it is asked for."""
    with pytest.raises(IsADirectoryError):
        Lines(str(tmp_path), "llm_access_log")


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """By its usual name."""
    Lines("-", "llm_access_log").add({"n": 1})

    assert capsys.readouterr().out == '{"n":1}\n'


def test_standard_output_is_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """As under a supervisor that has let go of it."""
    with (tmp_path / "out").open("w") as closed:
        pass
    monkeypatch.setattr(sys, "stdout", closed)

    Lines("-", "llm_access_log").add({"n": 1})

    assert "lines are lost" in caplog.text
