"""The pictures of the admin page in the README.

`python -m tests.support.screenshots [URL]` from the root of the repository, with `addon` on PYTHONPATH, saves
`docs/images/admin-{light,dark,phone}.png` of the page at URL: `http://127.0.0.1:9901/` for a proxy that runs.
Without URL they are of a made-up outage. They are a third of the size where Pillow is installed.
"""

import importlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.admin_listener import listening
from tests.support.background import Background
from tests.support.chromium import CHROMIUM, Page, browsing
from tests.support.outage import outage

FOLDER = Path(__file__).parents[2] / "docs" / "images"
_OPEN = "document.querySelectorAll('tbody')[%d]?.querySelector('button').click()"


def take(page: Page, url: str, folder: Path, *, opened: int = 0) -> None:
    """Save all pictures; one decision is opened, the one at `opened`."""
    for name, dark, width, height in (
        ("light", False, 1360, 1540),
        ("dark", True, 1360, 1540),
        ("phone", False, 390, 1500),
    ):
        page.look(dark=dark, width=width, height=height)
        page.navigate(url)
        page.wait_for("document.querySelector('#connection').dataset.state === 'live'")
        page.wait_for("document.querySelector('#cards').children.length > 0")
        if name != "phone":
            page.evaluate(_OPEN % opened)
        path = folder / f"admin-{name}.png"
        page.screenshot(path)
        _shrink(path)


def _shrink(path: Path) -> None:
    """Save with few colours; more cannot be told apart here."""
    try:
        image = importlib.import_module("PIL.Image")
    except ImportError:
        return
    image.open(path).convert("RGB").quantize(128, dither=0).save(path, optimize=True)


@contextmanager
def _source(background: Background, arguments: list[str]) -> Iterator[str]:
    if arguments:
        yield arguments[0]
        return
    with background.serving(listening(outage())) as listener:
        yield listener.url


def main(arguments: list[str]) -> int:
    """Take them; returns the exit code."""
    if CHROMIUM is None:
        sys.stderr.write("there is no Chromium on this machine\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with (
        Background() as background,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        browsing(background, Path(profile)) as page,
        _source(background, arguments) as url,
    ):
        take(page, url, FOLDER, opened=0 if arguments else 2)
        sys.stdout.write("".join(f"{complaint}\n" for complaint in page.complaints))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
