"""mitmproxy's own front end, in a terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.support.background import seconds
from tests.support.mesh import Host, write_mesh
from tests.support.proxy import ROOT, START_S, STOP_S, Setting

CONSOLE = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from mitmproxy.tools.main import mitmproxy
mitmproxy()
"""


def test_it_ends_with_its_terminal(setting: Setting, tmp_path: Path) -> None:
    """Although it reads from the closed terminal for ever, and nothing in its event loop comes to pass."""
    config = write_mesh(tmp_path, Host(name="provider.test"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    options = ["--set", f"confdir={setting.confdir}", "--set", f"llm_config={config}", "-n"]
    process = subprocess.Popen(
        [sys.executable, "-c", CONSOLE, "-s", "addon/main.py", *options],
        cwd=ROOT,
        env={**setting.process_environment(), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown, deadline = b"", seconds() + START_S
        while b"Flows" not in shown:
            assert seconds() < deadline, "the console does not show its list of flows"
            shown += os.read(ours, 65536)
        os.close(ours)
        assert process.wait(STOP_S) != 0
    finally:
        process.kill()
        process.wait()
