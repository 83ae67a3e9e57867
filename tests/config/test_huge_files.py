"""No file takes more memory or time than it may, and what is found in it can be read by a person."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

MEBIBYTE = 1024**2
ENTRY = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
HUGE = {
    "digits": "a: " + "9" * MEBIBYTE,
    "hexadecimal-digits": "a: 0x" + "f" * MEBIBYTE,
    "base-60": "a: !!int 1" + ":1" * MEBIBYTE,
    "scalar": "a: " + "x" * 60 * MEBIBYTE,
    "quoted-scalar": 'a: "' + "\\x41" * 4 * MEBIBYTE + '"',
    "key": "x" * MEBIBYTE + ": 1",
    "many-values": "a: [" + "1," * 3 * MEBIBYTE + "]",
    "many-lists": "a: [" + "[]," * 3 * MEBIBYTE + "]",
    "many-keys": "\n".join(f"k{n}:" for n in range(MEBIBYTE)),
    "many-documents": "---\na: 1\n" * (MEBIBYTE // 8),
    "many-anchors": "\n".join(f"k{n}: &a{n} [*a{n - 1}]" if n else "k0: &a0 []" for n in range(100_000)),
    "deep": "a: " + "[" * MEBIBYTE,
    "deep-keys": "? " * MEBIBYTE,
    "aliases": "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 50}]" for n in range(1, 60)),
    "many-fields": f"{ENTRY}metadata: {{name: a}}\nspec:\n" + "".join(f"  k{n}: 1\n" for n in range(20_000)),
    "name": f"{ENTRY}metadata: {{name: {'x' * MEBIBYTE}}}\nspec: 1\n",
    "path-that-repeats": f"{ENTRY}metadata: {{name: a}}\nspec: {'{' + 'x' * MEBIBYTE + ': '}1}}\n",
    "too-large": "#" * 65 * MEBIBYTE,
}


@pytest.mark.parametrize("what", HUGE)
def test_huge_files(tmp_path: Path, what: str) -> None:
    """Within a minute and a gibibyte and a half, and in lines that a person can read."""
    file = tmp_path / "a.yaml"
    file.write_text(HUGE[what])
    program = (
        "import sys; from pathlib import Path; from llm_fallback.config import load;"
        "print(*load([Path(sys.argv[1])], {}).findings, sep='\\n')"
    )
    addon = Path(__file__).parents[2] / "addon"
    done = subprocess.run(
        [sys.executable, "-c", program, file],
        env=os.environ | {"PYTHONPATH": str(addon)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=_limit_memory,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert max(map(len, done.stdout.splitlines())) < 3000 + len(str(file))


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1536 * MEBIBYTE, 1536 * MEBIBYTE))
