"""The files of the web page, read once."""

from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from aiohttp import web

INDEX = "index.html"

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""It runs nothing but its own files, and speaks to nobody but this proxy."""


class Asset(NamedTuple):
    """One file."""

    content: bytes
    media_type: str

    def response(self) -> web.Response:
        """The answer with it."""
        headers = {"Content-Security-Policy": _POLICY}
        return web.Response(body=self.content, content_type=self.media_type, charset="utf-8", headers=headers)


def read_assets() -> Mapping[str, Asset]:
    """The files by name; those whose kind no browser knows are none of them."""
    folder = resources.files("llm_fallback.admin") / "page"
    if not folder.is_dir():
        return {}
    return {
        file.name: Asset(file.read_bytes(), media_type)
        for file in folder.iterdir()
        if (media_type := _TYPES.get(f".{file.name.rpartition('.')[2]}"))
    }


def prefers_html(accept: str) -> bool:
    """Whether a client asks for HTML by name, as browsers do, and for nothing else rather."""
    weights = dict(map(_weighed, accept.split(",")))
    html = weights.get("text/html", 0.0)
    return html > 0 and all(html >= weights.get(other, 0.0) for other in ("text/plain", "application/json"))


def _weighed(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return media_type, float(quality)
    except ValueError:
        return media_type, 0.0
