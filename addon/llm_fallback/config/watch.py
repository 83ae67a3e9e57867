"""Noticing that a configuration has changed.

File events only wake us up; what the files are says whether something changed. So a lost event, a folder that
is replaced as a whole, or a file system that reports nothing delays a reload by at most `HEARTBEAT_S`, and an
event that changes nothing, or that comes from our own reading, does nothing.
"""

import asyncio
import hashlib
import logging
import os
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from watchfiles import awatch

from llm_fallback.config.files import SUFFIXES, read_files
from llm_fallback.config.findings import Finding

logger = logging.getLogger("llm-fallback")
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every event

HEARTBEAT_S = 1.0
"""How often files are looked at when no event comes."""

QUIET_S = 0.15
"""For how long files must stay as they are: editors write in several steps."""

PATIENCE_S = 0.8
"""How long to wait for that; a file that never stays as it is has to be read at some time."""

_MAX_LINKS = 40  # as Linux
_STEP_MS = 50

type Stamps = dict[str, tuple[int, ...]]
"""What tells that a file was written or replaced, by path."""


def digest(paths: Sequence[Path]) -> bytes:
    """What tells whether a configuration would be read differently: its files' names and contents."""
    state = hashlib.blake2b(digest_size=16)
    for source in read_files(paths):
        name, text = (str(source), b"") if isinstance(source, Finding) else (source.name, source.text)
        state.update(hashlib.blake2b(os.fsencode(name)).digest())
        state.update(hashlib.blake2b(text).digest())
    return state.digest()


def stamps(paths: Sequence[Path]) -> Stamps:
    """The files as they are now, without reading them; nothing of those that are not there."""
    found: Stamps = {}
    for file in _files(paths):
        try:
            now = os.stat(file)  # noqa: PTH116 - once a second for each, and a Path takes three times as long
        except OSError:
            found[file] = ()
            continue
        if not stat.S_ISDIR(now.st_mode):
            found[file] = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
    return found


def _files(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - a Path's raises PermissionError on Python 3.12
            yield from (entry.path for entry in _entries(path))
        else:
            yield str(path)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Those that may be files of a configuration."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.name.lower().endswith(SUFFIXES))


def folders(paths: Sequence[Path]) -> frozenset[Path]:
    """Where something happens when the paths come to lead to other contents.

    That is where files are and where symbolic links stand on the way; in place of a folder that is not there,
    the one in which it would appear. Around a folder that is there, anything may be going on: what becomes of
    it as a whole is noticed without events.
    """
    found = set[Path]()
    for path in paths:
        with suppress(OSError):  # what cannot be looked into cannot be watched either
            found.update(_way_to(path))
            if path.is_dir():
                found.add(path.resolve())
                links = [Path(entry.path) for entry in _entries(path) if entry.is_symlink()]
                found.update(folder for link in links for folder in _way_to(link))
    return frozenset(found)


def _way_to(path: Path) -> Iterator[Path]:
    """The folders of the symbolic links on the way to a path, and that of its end unless it is a folder."""
    here, *ahead = Path(path.absolute().anchor), *reversed(path.absolute().parts[1:])
    links = 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            here = here.parent  # `here` holds no links: this is where it leads
            continue
        step = here / name
        if step.is_symlink() and links < _MAX_LINKS:
            links += 1
            yield here
            target = step.readlink()
            here = Path(target.anchor) if target.is_absolute() else here
            ahead.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        elif step.is_dir():
            if not ahead:
                return
            here = step
        else:
            break
    yield here


async def follow(
    paths: Sequence[Path], on_change: Callable[[], None], *, heartbeat_s: float = HEARTBEAT_S
) -> None:
    """Call `on_change` whenever the files have changed and come to rest, and once at the beginning."""
    known = await asyncio.to_thread(stamps, paths)
    on_change()  # what was written between the first reading and now would go unnoticed
    while True:
        watched = await asyncio.to_thread(folders, paths)
        async with aclosing(_wake_ups(watched, heartbeat_s)) as wake_ups:
            async for touched in wake_ups:
                now = await _at_rest(paths, known)
                if now != known:
                    known = now
                    on_change()
                elif not touched:
                    continue
                if touched & watched or await asyncio.to_thread(folders, paths) != watched:
                    break  # a folder that went away and came back is another one, to be watched anew


async def _wake_ups(watched: Collection[Path], heartbeat_s: float) -> AsyncGenerator[frozenset[Path]]:
    """What has been touched in the folders, as soon as something is; nothing when it is time for a look.

    Ends if a folder is not there any more.
    """
    events = awatch(
        *watched,
        watch_filter=lambda _, path: Path(path) in watched or _may_matter(path),
        debounce=round(PATIENCE_S * 1000),
        step=_STEP_MS,
        rust_timeout=round(heartbeat_s * 1000),
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    )
    try:
        async with aclosing(events):
            async for changes in events:
                yield frozenset(Path(path) for _, path in changes)
    except FileNotFoundError:
        await asyncio.sleep(QUIET_S)
        return
    except (OSError, RuntimeError, ValueError) as error:  # no inotify left, or a name that is not UTF-8
        logger.warning("no file events (%s): looking at the configuration every %g s", error, heartbeat_s)
    while True:
        await asyncio.sleep(heartbeat_s)
        yield frozenset()


def _may_matter(path: str) -> bool:
    """Whether it has to do with a configuration: a file of one, or a folder or link. Logs, say, have not."""
    name = os.path.basename(path).lower()  # noqa: PTH119 - for each event, and a Path takes longer
    return name.endswith(SUFFIXES) or "." not in name.lstrip(".")


async def _at_rest(paths: Sequence[Path], known: Stamps) -> Stamps:
    """The files as they are once they stay so, or when patience is over."""
    now = await asyncio.to_thread(stamps, paths)
    for _ in range(round(PATIENCE_S / QUIET_S)):
        before = now
        if now == known:
            break
        await asyncio.sleep(QUIET_S)
        now = await asyncio.to_thread(stamps, paths)
        if now == before:
            break
    return now
