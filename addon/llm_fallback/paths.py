"""How the path of a request changes: by the rule it falls under, and for the provider it goes to. Pure."""

import re
from typing import Any

from llm_fallback.config.routes import Match, MatchType, Rewrite
from llm_fallback.config.snapshot import CHAT_COMPLETIONS, Provider
from llm_fallback.resources.base import Expanded

_ABNORMAL = re.compile(r"""/\.|[%\\|^`{}"<>]""")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_TO_ESCAPE = re.compile(r"""[|^`{}"<>]""")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_REFERENCE = re.compile(r"\\(\\|[0-9])")


def normalised(path: str) -> str:
    """The path as Envoy makes it under Istio's default normalisation; the query stays as it is.

    Dots are resolved, backslashes are slashes, what needs no escape loses it and what needs one gets it.
    Escaped and repeated slashes stay.
    """
    before, question, query = path.partition("?")
    if not before.startswith("/") or not _ABNORMAL.search(before):
        return path  # what is no path at all is refused elsewhere
    plain = _ESCAPE.sub(_unescaped, before.replace("\\", "/"))
    escaped = _TO_ESCAPE.sub(lambda found: f"%{ord(found[0]):02X}", plain)
    return f"{_without_dots(escaped)}{question}{query}"


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0]


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, for a path that begins with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
            continue
        if is_last:
            kept.append("")
    return "/" + "/".join(kept)


def matched_part(match: Match | None, path: str) -> str:
    """The part of a path (no query) that prefix rewriting replaces: the prefix that matched, else all of it.

    A rule that asks for no path is one for the prefix `/` (Istio).
    """
    uri = match.uri if match else None
    if uri is None or uri.type is MatchType.PRESENT:
        return path[:1]
    return path[: len(uri.value)] if uri.type is MatchType.PREFIX else path


def rewritten(path: str, rewrite: Rewrite, match: Match | None) -> str:
    """The path as the rule rewrites it, the query kept; Envoy ignores a rewrite that leaves nothing."""
    before, question, query = path.partition("?")
    before = before or "/"
    if not rewrite.uri:
        return path
    if rewrite.pattern is None:
        new = rewrite.uri + before[len(matched_part(match, before)) :]
    else:
        new = _replace_all(rewrite.pattern, rewrite.uri, before)
    if not new:
        return path
    # Not left to the rule: without the slash the path would run into the host where both become a URL.
    return f"{'' if new.startswith('/') else '/'}{new}{question}{query}"


def for_provider(path: str, provider: Provider, addressed: Provider | None) -> str:
    """The provider's own path for chat, and its base in place of the addressed provider's for the rest.

    It is `Expanded` if the provider's is: what is in it is not to be shown.
    """
    if provider.path is None:
        return path
    before, question, query = path.partition("?")
    if before in ("", "/") or before.endswith(CHAT_COMPLETIONS) or (addressed and before == addressed.path):
        return _as(provider.path, f"{provider.path}{question}{query}")
    bases = ["/v1"] if addressed is None or addressed.base is None else ["/v1", addressed.base]
    under = [base for base in bases if before.startswith(f"{base}/")]
    if provider.base is None or not under:
        return path
    rest = before.removeprefix(max(under, key=len))
    return _as(provider.path, f"{provider.base}{rest}{question}{query}")


def _as(written: str, path: str) -> str:
    return Expanded(path) if isinstance(written, Expanded) else path


def is_chat(path: str, provider: Provider) -> bool:
    """Whether a path, as it is sent to the provider, is that of its chat."""
    before = path.partition("?")[0]
    return before.endswith(CHAT_COMPLETIONS) if provider.path is None else before == provider.path


def _replace_all(pattern: Any, substitution: str, text: str) -> str:
    """RE2's GlobalReplace; unlike Python's `sub` it replaces no empty match right after another match."""
    last_end = -1

    def replacement(match: Any) -> str:
        nonlocal last_end
        if match.start() == match.end() == last_end:
            return ""
        last_end = match.end()
        return _REFERENCE.sub(lambda found: _referred(match, found[1]), substitution)

    try:
        return str(pattern.sub(replacement, text))
    except UnicodeEncodeError:  # not UTF-8: RE2 finds nothing in it
        return text


def _referred(match: Any, reference: str) -> str:
    return reference if reference == "\\" else match[int(reference)] or ""
