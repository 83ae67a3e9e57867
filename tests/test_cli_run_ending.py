"""`llm-fallback run`: signals, and who ends with whom."""

import os
import pty
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.background import wait_until
from tests.support.commands import children, environment, is_running, llm_fallback, running
from tests.support.mesh import Host, write_mesh
from tests.support.proxy import Setting

# Counts the signals it gets, says so, and ends when it has one of the last kind.
COUNTING = """\
import os, signal, sys
last, got = signal.Signals[sys.argv[1]], []
def take(number, frame):
    got.append(signal.Signals(number).name)
    print(*got, flush=True)
    if number == last:
        sys.exit(5)
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT"):
    if signal.getsignal(signal.Signals[name]) is not signal.SIG_IGN:
        signal.signal(signal.Signals[name], take)
print("ready", os.getpid(), os.environ["HTTP_PROXY"], flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(name="options")
def with_a_mesh(setting: Setting, tmp_path: Path) -> list[str]:
    """A configuration that nobody uses, and no admin page, whose port another one may have at the time."""
    config = write_mesh(tmp_path / "mesh", Host(name="primary.test"))
    return ["run", "-f", str(config), "--admin", "off", "--set", f"confdir={setting.confdir}"]


def counting(last: str) -> list[str]:
    """The command that counts."""
    return ["--", sys.executable, "-c", COUNTING, last]


def port_of(ready: str) -> int:
    """The proxy's, as the command knows it."""
    return int(ready.rpartition(":")[2])


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("last", ["SIGINT", "SIGTERM"])
def test_signals_reach_the_command(setting: Setting, options: list[str], tmp_path: Path, last: str) -> None:
    """Whose status counts; until it ends the proxy stays, and then it is gone."""
    names = [name for name in ("SIGHUP", "SIGUSR1", "SIGQUIT", "SIGINT", "SIGTERM") if name != last]
    with running(setting, tmp_path, *options, *counting(last)) as runner:
        port = port_of(runner.line())
        for count, name in enumerate(names, 1):
            runner.process.send_signal(signal.Signals[name])
            assert runner.line().split() == names[:count]
            assert is_listening(port)
        runner.process.send_signal(signal.Signals[last])
        assert runner.end()[:2] == (5, " ".join([*names, last]) + "\n")

    assert not is_listening(port)


def test_a_signal_that_is_ignored(setting: Setting, options: list[str], tmp_path: Path) -> None:
    """Under nohup, the command and the proxy stay, too."""
    with running(setting, tmp_path, *options, *counting("SIGTERM"), ignored=[signal.SIGHUP]) as runner:
        port = port_of(runner.line())
        runner.process.send_signal(signal.SIGHUP)
        runner.process.send_signal(signal.SIGUSR1)  # what comes of the one before has come by then
        assert runner.line() == "SIGUSR1"
        assert is_listening(port)
        runner.process.terminate()
        assert runner.end()[:2] == (5, "SIGUSR1 SIGTERM\n")


def test_a_signal_before_there_is_a_command(setting: Setting, options: list[str], tmp_path: Path) -> None:
    """Ends the start, and nothing is left."""
    with running(setting, tmp_path, *options, "--", "echo", "never") as runner:
        wait_until(lambda: children(runner.process.pid), "the proxy has been started")
        runner.process.terminate()
        status, out, _ = runner.end()

    assert (status, out) == (128 + signal.SIGTERM, "")
    assert not list(tmp_path.glob("llm-fallback-*"))


@pytest.fixture(name="terminal")
def with_a_terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_a_key_at_the_terminal(
    setting: Setting, options: list[str], tmp_path: Path, terminal: tuple[int, int]
) -> None:
    """^C reaches the command once, not a second time through us, and the proxy not at all."""
    ours, theirs = terminal
    out = tmp_path / "out"
    command = llm_fallback(*options, *counting("SIGTERM"))
    script = ["sh", "-c", f'exec "$@" > {out}', "sh", *command]
    pid = pty_child(theirs, script, environment(setting), tmp_path)
    try:
        wait_until(lambda: out.exists() and "\n" in out.read_text(), "the command is ready")
        port = port_of(out.read_text())
        os.write(ours, b"\x03")
        wait_until(lambda: "SIGINT" in out.read_text(), "the command has the signal")
        assert is_listening(port)
        os.kill(pid, signal.SIGTERM)  # which is passed on after any SIGINT
    finally:
        status = os.waitpid(pid, 0)[1]

    assert os.waitstatus_to_exitcode(status) == 5
    assert out.read_text().splitlines()[1:] == ["SIGINT", "SIGINT SIGTERM"]


def pty_child(terminal: int, command: list[str], env: dict[str, str], folder: Path) -> int:
    """The command, in the foreground of the terminal, which is its own."""
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    program = f"{take}; os.chdir({str(folder)!r}); os.execvp(sys.argv[1], sys.argv[1:])"
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", program, *command],
        env,
        file_actions=[(os.POSIX_SPAWN_DUP2, terminal, number) for number in (0, 1, 2)],
        setsid=True,
    )


def test_the_runner_is_killed(setting: Setting, options: list[str], tmp_path: Path) -> None:
    """The proxy ends all the same, which nobody else could see to."""
    with running(setting, tmp_path, *options, *counting("SIGTERM")) as runner:
        ready = runner.line()
        proxies = set(children(runner.process.pid)) - {int(ready.split()[1])}
        assert len(proxies) == 1
        runner.process.kill()
        runner.process.wait()
        try:
            wait_until(lambda: not is_listening(port_of(ready)), "the proxy is gone")
        finally:
            os.kill(int(ready.split()[1]), signal.SIGTERM)


def test_the_proxy_is_killed(setting: Setting, options: list[str], tmp_path: Path) -> None:
    """That is said at once; the command goes on, and its status counts."""
    with running(setting, tmp_path, *options, *counting("SIGTERM")) as runner:
        ready = runner.line()
        (proxy,) = set(children(runner.process.pid)) - {int(ready.split()[1])}
        os.kill(proxy, signal.SIGKILL)
        assert runner.process.stderr
        said = runner.process.stderr.readline()
        assert is_running(int(ready.split()[1]))
        runner.process.terminate()
        status = runner.end()[0]

    assert said == "llm-fallback: the proxy has ended; the command goes on without it\n"
    assert status == 5
