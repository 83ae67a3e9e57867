"""Replacing the configuration while requests run: read beside the event loop, adopted within it.

A configuration with errors replaces nothing. What is asked for while a reload runs is done after it, so that
no two overlap and the newest files win.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from llm_fallback.config import Finding, Loaded, Severity, Snapshot, load, watch
from llm_fallback.config.in_force import Configuration, Sources
from llm_fallback.wording import counted, some_of

logger = logging.getLogger("llm-fallback")

NOTHING_LOADED = "no configuration is loaded; llm_config says where it is"

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING, Severity.INFO: logging.INFO}


class BadConfigurationError(Exception):
    """A configuration that cannot be used: a line for each error."""


@dataclass(frozen=True, slots=True)
class _Reading:
    digest: bytes
    loaded: Loaded


class Reloader:
    """Loads configurations; `adopt` is given each good one, `wall_clock` gives seconds.

    `refused` is told in a sentence when one replaces nothing.
    """

    def __init__(
        self,
        *,
        adopt: Callable[[Snapshot], None],
        refused: Callable[[str], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self.configuration = Configuration()
        self._adopt = adopt
        self._refused = refused
        self._wall_clock = wall_clock
        self._digest = b""
        self._is_managing = False
        self._is_wanted = asyncio.Event()
        self._is_demanded = False
        self._waiting: list[asyncio.Future[str | None]] = []
        self._is_watching = True
        self._server: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    def switch_to(self, sources: Sources) -> None:
        """Load now, and stay with these sources.

        Raises BadConfigurationError if they cannot be used, and changes nothing. Only where they are in use
        already is that a bad edit like any other: it is logged, and the configuration in force stays.
        """
        reading = _load(sources, watch.digest(sources.paths))
        before = self.configuration
        if reading.loaded.snapshot is None and (before.loaded_at is None or sources != before.sources):
            raise BadConfigurationError("\n".join(_lines(reading.loaded.findings, Severity.ERROR)))
        self._take(sources, reading)
        if sources.paths != before.sources.paths:
            self._watch_anew()

    def watch(self, *, is_on: bool) -> None:
        """Whether a file that is saved is loaded at once, or only on demand."""
        self._is_watching = is_on
        self._watch_anew()

    def demand(self) -> None:
        """Load soon, even if no file has changed."""
        self._is_demanded = True
        self._is_wanted.set()

    async def load(self) -> str | None:
        """Load even if no file has changed; what keeps the files from being in force, in a sentence."""
        loaded: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(loaded)
        self.demand()
        return await loaded

    def notice(self) -> None:
        """Load soon if a file has changed."""
        self._is_wanted.set()

    def start(self) -> None:
        """Watch and reload from now on, in this event loop."""
        self._server = asyncio.get_running_loop().create_task(self._serve(), name="llm-fallback reload")
        self._watch_anew()

    def stop(self) -> None:
        """Stop both; what is being read is dropped."""
        for task in (self._server, self._watcher):
            if task:
                task.cancel()
        self._server = self._watcher = None

    def _watch_anew(self) -> None:
        if self._watcher:
            self._watcher.cancel()
            self._watcher = None
        if self._is_watching and self._server and self.configuration.loaded_at is not None:
            following = watch.follow(self.configuration.sources.paths, self.notice)
            self._watcher = asyncio.get_running_loop().create_task(following, name="llm-fallback watch")

    async def _serve(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            known = None if self._is_demanded else self._digest
            self._is_demanded = False
            waiting, self._waiting = self._waiting, []
            problem = await self._reload(known)
            for each in waiting:
                if not each.done():  # nobody waits any more
                    each.set_result(problem)

    async def _reload(self, known: bytes | None) -> str | None:
        """Load the files, unless they are as they were `known`; what is wrong with them, in a sentence."""
        before = self.configuration
        if before.loaded_at is None:
            logger.info(NOTHING_LOADED)
            return NOTHING_LOADED
        try:
            reading = await asyncio.to_thread(_read, before.sources, known)
            if reading and self.configuration is before:  # or an option was set meanwhile: that is newer
                return self._take(before.sources, reading)
        except Exception as error:  # noqa: BLE001 - the next edit must still be loaded
            # Without its message, which might quote a file.
            self.configuration = replace(self.configuration, is_current=False)
            told = f"the configuration is not replaced: {type(error).__name__} while loading it"
            logger.error(told)  # noqa: TRY400
            return told
        return None

    def _take(self, sources: Sources, reading: _Reading) -> str | None:
        """Adopt what was read, or say what is wrong with it."""
        loaded = reading.loaded
        self._digest = reading.digest
        for severity in Severity:
            for line in _lines(loaded.findings, severity):
                # An error is the line itself, as where it ends a start.
                logger.log(_LEVELS[severity], line if severity is Severity.ERROR else f"{severity}: {line}")
        problem = "has errors" if loaded.snapshot is None else None
        if (
            loaded.snapshot
            and loaded.snapshot.is_empty
            and self._is_managing
            and sources == self.configuration.sources
        ):
            # A file that was moved away, say: requests with keys in them would pass straight through.
            problem = "manages no host any more"
        if loaded.snapshot is None or problem:
            told = f"the configuration {problem} and is not replaced: the one before stays in force"
            logger.error(told)
            self._refused(told)
            self.configuration = replace(self.configuration, findings=loaded.findings, is_current=False)
            return _first(_lines(loaded.findings, Severity.ERROR)) or told
        self._adopt(loaded.snapshot)
        self._is_managing = not loaded.snapshot.is_empty
        self.configuration = Configuration(sources, self._wall_clock(), loaded.findings, is_current=True)
        return None


def managing(snapshot: Snapshot) -> str:
    """What a configuration is for, in a few words."""
    return f"managing {some_of(snapshot.host_patterns) or 'no host'}"


def _read(sources: Sources, known: bytes | None) -> _Reading | None:
    """What is there now; None if that is what is known."""
    digest = watch.digest(sources.paths)
    return None if digest == known else _load(sources, digest)


def _load(sources: Sources, digest: bytes) -> _Reading:
    # The digest comes first: what is written after it was taken is noticed later.
    workload = dict(sources.workload) if sources.workload is not None else None
    return _Reading(digest, load(sources.paths, os.environ, workload))


def _lines(findings: tuple[Finding, ...], severity: Severity) -> list[str]:
    return list(dict.fromkeys(str(finding) for finding in findings if finding.severity is severity))


def _first(errors: list[str]) -> str | None:
    if not errors:
        return None
    more = len(errors) - 1
    return f"{errors[0]} (and {counted(more, 'more error')})" if more else errors[0]
