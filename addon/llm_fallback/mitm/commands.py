"""The commands `llm.*`: what a person does about the proxy, typed where mitmproxy's commands are."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from mitmproxy import command, ctx, exceptions, flow, http, types
from mitmproxy.log import ALERT

from llm_fallback import overview
from llm_fallback.config.snapshot import Snapshot, name_of
from llm_fallback.explanation import as_text, explain, places_of
from llm_fallback.messages import OriginalRequest
from llm_fallback.mitm import attempt_flows, captured
from llm_fallback.overrides import BadActionError, FaultKind
from llm_fallback.overrides.words import OPTIONS, fault_file, fault_words, seconds
from llm_fallback.upstream.actions import ALL, Actions
from llm_fallback.upstream.engine import Engine

logger = logging.getLogger("llm-fallback")

_WIDTH = 100


class Suggested:
    """An argument with completions that it need not be one of: what is wrong is said by the action itself."""

    def __init__(self, options_command: str) -> None:
        self.options_command = options_command


class _SuggestedType:
    """How mitmproxy handles it."""

    typ = Suggested
    display = "str"

    def completion(self, manager: Any, t: Suggested, _: str) -> Sequence[str]:
        """What the command knows."""
        found: Sequence[str] = manager.execute(t.options_command)
        return found

    def parse(self, _manager: Any, _t: Suggested, s: str) -> str:
        """The text itself."""
        return s

    def is_valid(self, _manager: Any, _t: Suggested, value: object) -> bool:
        """Whether it is a text."""
        return isinstance(value, str)


types.CommandTypes.typemap.setdefault(Suggested, _SuggestedType())


def _typed[**P, T](name: str, **suggested: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A command of mitmproxy's, whose sentence of refusal is shown as its errors are.

    `suggested` are the commands that know the completions of its arguments.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        for argument, options_command in suggested.items():
            function.__annotations__[argument] = Suggested(options_command)

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except BadActionError as error:
                raise exceptions.CommandError(str(error)) from None

        decorated: Callable[P, T] = command.command(name)(run)
        return decorated

    return decorate


class Commands:
    """The commands: the log tells what an action has done, the rest is returned."""

    def __init__(
        self,
        actions: Actions,
        engine: Engine,
        snapshot: Callable[[], Snapshot],
        state: Callable[[], Mapping[str, Any]],
    ) -> None:
        """`state` is what `/api/state` tells."""
        self._actions = actions
        self._engine = engine
        self._snapshot = snapshot
        self._state = state

    @_typed("llm.status")
    def status(self) -> Sequence[str]:
        """Show targets and endpoints, who is in rotation, what is pinned or injected, and what fell back."""
        return overview.as_text(self._state()).splitlines()

    @_typed("llm.eject", place="llm.places")
    def eject(self, place: str, *time: str) -> None:
        """Take a place out of rotation until llm.return, or for a time: llm.eject a.com:80 --for 30s."""
        self._actions.eject(place, _time(time))

    @_typed("llm.return", place="llm.places.all")
    def put_back(self, place: str) -> None:
        """Put a place, or all, back into rotation at once, whatever has taken it out."""
        self._actions.put_back(place)

    @_typed("llm.pin", host="llm.hosts", target="llm.targets")
    def pin(self, host: str, target: str) -> None:
        """Send all requests for a managed host to a target until llm.clear, whatever rules and health say."""
        self._actions.pin(host, target)

    @_typed("llm.fault", place="llm.places", words="llm.faults")
    def fault(self, place: str, *words: str) -> None:
        """Inject a fault until llm.clear: status 503 | delay 2s | reset | hang | connect-failure | cut.

        Then --percentage 50, --count 3, --body TEXT, --header 'NAME: VALUE'. Or -f FILE of llm.export.
        """
        if place == "-f":
            place, data = fault_file(_read(words[0] if words else ""))
        elif words[:1] == ("-f",):
            _, data = fault_file(_read(words[1] if len(words) > 1 else ""), place)
        else:
            data = fault_words(words)
        self._actions.fault(place, data)

    @_typed("llm.clear", what="llm.places.all")
    def clear(self, what: str = ALL) -> None:
        """End faults, pins and ejections by hand: of a place, of a managed host, or all."""
        self._actions.clear(what)

    @_typed("llm.explain")
    def explain(self, flow: Sequence[flow.Flow]) -> Sequence[str]:
        """Say what happened to a flow's request, and what would happen to it now, and why.

        Flows of its attempts may be among those that are named.
        """
        shown = _the_one([self._client_flow(_http(each)) for each in flow])
        happened = captured.story_of(shown)
        return [*happened, *(["", "Now:"] if happened else []), *self._now(captured.request_of(shown))]

    def _now(self, request: OriginalRequest) -> Iterator[str]:
        """What a person has set comes first: it explains what follows."""
        if self._snapshot().is_empty:
            yield "no configuration is loaded: nothing is managed"
            return
        health, overrides = self._engine.health, self._engine.overrides
        pinned = overrides.pinned(request.host)
        told = explain(self._snapshot(), request, is_ejected=health.is_ejected, pinned=pinned)
        if pinned and told.rule:
            yield f"pinned   all requests for {request.host} go to {name_of(pinned)} until llm.clear"
        keys = [(place.host, place.port, place.subset) for place in places_of(told)]
        for each in reversed(overrides.faults):  # the newest strikes first
            if any(each.place.covers(key) for key in keys):
                yield f"injected fault {each.id} at {each.place}: {each}, until llm.clear"
        yield from as_text(told, width=_WIDTH).splitlines()

    @_typed("llm.export")
    def export(self, flow: flow.Flow, path: types.Path) -> None:
        """Write the failure that a flow shows to a file, with which llm.fault can inject it."""
        data = captured.fault_data(_http(flow), self._attempts_of(flow))
        try:
            Path(path).expanduser().write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        except (OSError, RuntimeError, ValueError) as error:
            raise BadActionError(f"{path} cannot be written ({_reason(error)})") from None
        logger.log(ALERT, "wrote %s at %s to %s", data["kind"], data["place"], path)  # as actions are told

    @command.command("llm.places")  # type: ignore[untyped-decorator]  # it is mitmproxy's
    def places(self) -> Sequence[str]:
        """List the places where actions act: hosts, targets and endpoints."""
        return self._actions.places()

    @command.command("llm.places.all")  # type: ignore[untyped-decorator]  # it is mitmproxy's
    def places_and_all(self) -> Sequence[str]:
        """List the same, and the word for all of them."""
        return [ALL, *self._actions.places()]

    @command.command("llm.hosts")  # type: ignore[untyped-decorator]  # it is mitmproxy's
    def hosts(self) -> Sequence[str]:
        """List the managed hosts."""
        return list(self._snapshot().host_patterns)

    @command.command("llm.targets")  # type: ignore[untyped-decorator]  # it is mitmproxy's
    def targets(self) -> Sequence[str]:
        """List the targets."""
        return [str(target) for target in self._snapshot().targets()]

    @command.command("llm.faults")  # type: ignore[untyped-decorator]  # it is mitmproxy's
    def fault_kinds(self) -> Sequence[str]:
        """List the words of a fault."""
        return [*FaultKind, *OPTIONS, "-f"]

    def _attempts_of(self, shown: flow.Flow) -> Iterator[http.HTTPFlow]:
        """The flows that show its failed attempts, as far as they are in view."""
        for each in ctx.master.addons.get("view") or ():
            if isinstance(each, http.HTTPFlow) and attempt_flows.client_of(each) == shown.id:
                yield each

    def _client_flow(self, shown: http.HTTPFlow) -> http.HTTPFlow:
        """The flow itself or, of one that shows an attempt, that of the client."""
        client = attempt_flows.client_of(shown)
        if client is None:
            return shown
        view = ctx.master.addons.get("view")
        found = view.get_by_id(client) if view else None
        if not isinstance(found, http.HTTPFlow):
            raise BadActionError(
                "this flow shows an attempt, and the client's flow is not here to be explained"
            )
        return found


def _the_one(shown: Sequence[http.HTTPFlow]) -> http.HTTPFlow:
    """The client's flow, however many of its attempts were named with it."""
    found = {each.id: each for each in shown}
    if not found:
        raise BadActionError("there is no such flow; name one as @focus, @ID or '~comment ID'")
    if len(found) > 1:
        raise BadActionError(f"one flow is explained at a time; these are {len(found)}")
    return next(iter(found.values()))


def _http(shown: flow.Flow) -> http.HTTPFlow:
    if not isinstance(shown, http.HTTPFlow):
        raise BadActionError("this flow is not one of HTTP")
    return shown


def _time(words: Sequence[str]) -> float | None:
    """The seconds of `30s`, `--for 30s` or `--for=30s`; None without words."""
    left = [word.removeprefix("--for").removeprefix("=") for word in words]
    times = [word for word in left if word]
    if len(times) > 1 or (words and not times):
        raise BadActionError("write a time after the place, such as --for 30s")
    return seconds(times[0]) if times else None


def _read(name: str) -> str:
    if not name:
        raise BadActionError("-f: which file?")
    try:
        return Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, RuntimeError, ValueError) as error:
        raise BadActionError(f"{name} cannot be read ({_reason(error)})") from None


def _reason(error: Exception) -> str | None:
    if isinstance(error, OSError):
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8"
    return "there is no such home folder" if isinstance(error, RuntimeError) else "that is no path"
