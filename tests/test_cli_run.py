"""`llm-fallback run`: a command behind a proxy of its own, and the front end by itself."""

import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_fallback.cli import main
from llm_fallback.cli.listening import is_loopback
from llm_fallback.cli.relay import Relay
from tests.support.answers import good
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.commands import run, running
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Setting
from tests.support.secret import Secret, leaks

KEY = Secret("the provider's key", "sk-provider-7c40e1b2a95d")
CLIENT_KEY = Secret("the client's key", "sk-client-93ab05d61e7f")
NO_REQUEST = "llm-fallback: no request came to a managed host\n"
CURL = ["curl", "--disable", "--silent", "--show-error", "--max-time", "30"]
HTTPX = "import sys, httpx; print(*[httpx.get(url, timeout=30).text for url in sys.argv[1:]], sep='', end='')"
OPENAI = """\
import sys, openai
for url in sys.argv[2:]:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=sys.argv[1], max_retries=0)
    said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    print(said.choices[0].message.content)
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A configuration of two hosts, the first of which falls back to the second."""

    setting: Setting
    config: Path
    primary: Provider
    fallback: Provider

    @property
    def options(self) -> list[str]:
        """What every run is given; no admin page, whose port another one may have at the time."""
        return ["-f", str(self.config), "--admin", "off", "--set", f"confdir={self.setting.confdir}"]


@pytest.fixture(name="stage")
def on_stage(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> Iterator[Stage]:
    """Both answer."""
    primary = Provider(respond(200, b"the primary"), authority.issue("primary.test"))
    fallback = Provider(respond(200, b"the fallback"), authority.issue("fallback.test"))
    with ExitStack() as stack:
        for each in (primary, fallback):
            stack.enter_context(background.serving(each))
        config = write_mesh(
            tmp_path / "mesh",
            Host(name="primary.test", port=primary.port, key="${KEY}", threshold=1, fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port),
        )
        setting = Setting(setting.confdir, setting.ca_bundle, {"KEY": KEY.value})
        yield Stage(setting, config, primary, fallback)


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(CURL, id="curl", marks=needs_curl),
        pytest.param([sys.executable, "-c", HTTPX], id="httpx"),
    ],
)
def test_clients(stage: Stage, tmp_path: Path, client: list[str]) -> None:
    """Need no setting of their own, for http or https; what they print is all that is printed."""
    urls = ["http://primary.test/", "https://primary.test/"]

    done = run(stage.setting, tmp_path, "run", *stage.options, "--", *client, *urls)

    assert done.stdout == "the primary" * 2
    assert (done.stderr, done.returncode) == ("llm-fallback: 2 requests\n", 0)


def test_the_sdk(stage: Stage, tmp_path: Path) -> None:
    """With a key that the provider does not see."""
    stage.primary.behaviour = good("said by the model")
    urls = ["http://primary.test", "https://primary.test"]
    sdk = [sys.executable, "-c", OPENAI, CLIENT_KEY.value, *urls]

    done = run(stage.setting, tmp_path, "run", *stage.options, "--", *sdk)

    assert (done.stdout, done.returncode) == ("said by the model\n" * 2, 0)
    assert [KEY.is_bearer_of(request) for request in stage.primary.requests] == [True, True]


@needs_curl
def test_a_fallback_is_told_of(stage: Stage, tmp_path: Path) -> None:
    """In one line at the end, beside the output."""
    stage.primary.behaviour = respond(500, b"oh")
    url = "http://primary.test/"

    done = run(stage.setting, tmp_path, "run", *stage.options, "--", *CURL, url, url)

    assert done.stdout == "ohthe fallback"
    assert done.stderr == (
        "llm-fallback: 2 requests, 1 fell back to fallback.test:80, 1 failed, primary.test:80 was ejected\n"
    )


def test_the_commands_status(stage: Stage, tmp_path: Path) -> None:
    """Is that of the run."""
    done = run(stage.setting, tmp_path, "run", *stage.options, "--", "sh", "-c", "kill -TERM $$")

    assert (done.returncode, done.stderr) == (143, NO_REQUEST)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param("exit 0", 0, id="success"),
        pytest.param("exit 7", 7, id="failure"),
        pytest.param("kill -TERM $$", 143, id="a-signal"),
        pytest.param("kill -KILL $$", 137, id="the-hardest-signal"),
    ],
)
@pytest.mark.usefixtures("signal_handlers")
def test_status(script: str, status: int) -> None:
    """As a shell has it."""
    assert Relay().run(["sh", "-c", script], dict(os.environ)) == status


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """Are afterwards what they were."""
    before = {number: signal.getsignal(number) for number in signal.Signals}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [("no-such-command", 127, "No such file or directory"), ("./a-file", 126, "Permission denied")],
)
def test_what_cannot_be_run(stage: Stage, tmp_path: Path, command: str, status: int, reason: str) -> None:
    """As a shell has it."""
    (tmp_path / "a-file").touch(0o600)

    done = run(stage.setting, tmp_path, "run", *stage.options, "--", command)

    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == f"llm-fallback: {command} cannot be run ({reason})\n"


def test_streams_and_arguments(stage: Stage, tmp_path: Path) -> None:
    """Are the command's own, even those that look like ours."""
    command = ["sh", "-c", 'cat; echo "$@"; echo aside >&2', "sh", "-f", "--", "--web"]

    done = run(stage.setting, tmp_path, "run", *stage.options, "-q", "--", *command, stdin="in\n")

    assert (done.stdout, done.stderr, done.returncode) == ("in\n-f -- --web\n", "aside\n", 0)


def test_nothing_is_left(stage: Stage, tmp_path: Path) -> None:
    """The file of authorities is there for the command, and no longer."""
    command = ["sh", "-c", 'grep -c BEGIN "$SSL_CERT_FILE"; echo "$SSL_CERT_FILE"']

    done = run(stage.setting, tmp_path, "run", *stage.options, "--", *command)

    count, file = done.stdout.split()
    assert int(count) > 2
    assert Path(file).is_relative_to(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mesh"]


@needs_curl
def test_the_log(stage: Stage, tmp_path: Path) -> None:
    """Is shown on demand, beside the output; no key is in it."""
    command = [*CURL, "--header", f"Authorization: Bearer {CLIENT_KEY.value}", "https://primary.test/"]

    done = run(stage.setting, tmp_path, "run", "--verbose", *stage.options, "--", *command)

    assert done.stdout == "the primary"
    assert re.search(r"^GET primary\.test .* \| 200 in \d+ ms$", done.stderr, re.MULTILINE)
    assert KEY.is_bearer_of(stage.primary.requests[0])
    said = {"output": done.stdout.encode(), "log": done.stderr.encode()}
    assert leaks(said, [KEY, CLIENT_KEY]) == []


@needs_curl
def test_what_is_not_managed_is_not_read(
    stage: Stage, background: Background, authority: Authority, tmp_path: Path
) -> None:
    """It goes through the proxy with its own certificate, so mitmproxy's authority need not be trusted."""
    other = Provider(respond(200, b"another"), authority.issue("localhost"))
    trusting = ["--noproxy", "", "--cacert", str(stage.setting.ca_bundle), "--write-out", " %{proxy_used}"]
    curl = [*CURL, *trusting, "--verbose"]
    with background.serving(other):
        command = [*curl, f"https://localhost:{other.port}/"]
        done = run(stage.setting, tmp_path, "run", *stage.options, "--", *command)

    assert done.stdout.startswith("another"), done.stderr
    assert f"CONNECT localhost:{other.port}" in done.stderr


@pytest.mark.parametrize(
    "command", [pytest.param([], id="alone"), pytest.param(["--", "echo"], id="command")]
)
def test_a_bad_configuration(setting: Setting, tmp_path: Path, command: list[str]) -> None:
    """Is what is said, and nothing runs."""
    (tmp_path / "mesh.yaml").write_text("apiVersion: v1\nkind: [oops\n")
    options = ["-f", "mesh.yaml", "--listen", "127.0.0.1:0", "--set", f"confdir={setting.confdir}"]

    done = run(setting, tmp_path, "run", *options, *command)

    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert re.search(r"mesh\.yaml:\d: not valid YAML: ", said)
    assert "Traceback" not in said
    assert not command or (
        done.stdout == "" and done.stderr.endswith("llm-fallback: the proxy did not start\n")
    )


@pytest.mark.parametrize(
    "command", [pytest.param([], id="alone"), pytest.param(["--", "echo"], id="command")]
)
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("llm_acess_log=log", "llm_acess_log: there is no such option (did you mean llm_access_log?)"),
        ("flow_detial=2", "flow_detial: there is no such option (did you mean flow_detail?)"),
    ],
)
def test_a_mistyped_option(stage: Stage, tmp_path: Path, command: list[str], option: str, said: str) -> None:
    """Is what is said, whoever's option was meant, and nothing runs."""
    options = [*stage.options, "--listen", "127.0.0.1:0", "--set", option]

    done = run(stage.setting, tmp_path, "run", *options, *command)

    assert done.returncode == 1
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--console", "--", "cat"], "--console needs the terminal", id="two-for-a-terminal"),
        pytest.param(["--console", "--web"], "not allowed with", id="two-front-ends"),
        pytest.param(["-f", "-", "--", "cat"], "-f: - cannot be read again", id="standard-input"),
        pytest.param(["-f", "a,b"], "-f: a,b cannot be read again", id="a-comma"),
        pytest.param(["--listen", "8080"], "'8080' is not an address; write", id="no-host"),
        pytest.param(["--listen", "127.0.0.1:65536"], "is not an address; write", id="no-port"),
        pytest.param(["--bogus"], "llm-fallback run: error: unrecognized arguments: --bogus", id="unknown"),
        pytest.param(["-x", "--", "cat", "-y"], "unrecognized arguments: -x\n", id="unknown-of-ours"),
    ],
)
@pytest.mark.usefixtures("signal_handlers")
def test_bad_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Status 2, and one sentence."""
    with pytest.raises(SystemExit) as ended:
        main(["run", *arguments])

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("usage: llm-fallback run ")
    assert said in err


def test_a_taken_port_of_the_admin_page(stage: Stage, tmp_path: Path) -> None:
    """The command runs all the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(stage.setting, tmp_path, "run", *stage.options, "--admin", address, "--", "echo", "run")

    assert (done.returncode, done.stdout) == (0, "run\n")


@pytest.mark.parametrize("command", [[], ["--", "echo", "never"]], ids=["alone", "command"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_taken_port(setting: Setting, tmp_path: Path, host: str, command: list[str]) -> None:
    """Ends it, with a sentence that says what to write instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"{host}:{taken.getsockname()[1]}"
        done = run(setting, tmp_path, "run", "--listen", address, *command)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"llm-fallback: {address} is taken; use --listen {host}:PORT\n"


def test_everybody_may_come(stage: Stage, tmp_path: Path) -> None:
    """Who listens beyond this machine is told once what that means."""
    done = run(stage.setting, tmp_path, "run", *stage.options, "--listen", "0.0.0.0:0", "--", "true")

    assert done.returncode == 0
    assert done.stderr == (
        "llm-fallback: warning: whoever reaches 0.0.0.0 spends the keys of the configuration;"
        f" --listen 127.0.0.1:PORT\n{NO_REQUEST}"
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "build.example.com"]
)
def test_loopback(host: str) -> None:
    """Is where it is known that nobody else comes."""
    assert is_loopback(host) == (host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))


def test_node_that_may_not_have_asked(stage: Stage, tmp_path: Path) -> None:
    """It is told where no request came."""
    (tmp_path / "node").symlink_to("/bin/true")

    done = run(stage.setting, tmp_path, "run", *stage.options, "--", "./node")

    assert done.stderr == f"{NO_REQUEST[:-1]}; Node before 24 (22.21) does not read proxy variables\n"


@pytest.mark.parametrize(
    "front_end", [[], ["--web", "--set", "web_open_browser=false", "--set", "web_port=0"]]
)
def test_alone(stage: Stage, tmp_path: Path, front_end: list[str]) -> None:
    """It is the front end itself, on loopback, which ends as that does."""
    with running(
        stage.setting,
        tmp_path,
        "run",
        *front_end,
        *stage.options,
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
    ) as process:
        lines = process.lines_to(" listening at 127.0.0.1:")
        process.process.terminate()
        status, rest, err = process.end()

    assert any("managing primary.test, fallback.test" in line for line in lines)
    assert (status, err) == (0, "")
    assert "admin page" not in rest


@needs_curl
def test_mitmweb_around_a_command(stage: Stage, tmp_path: Path) -> None:
    """Its page is named, and everything can be seen there; what came of the requests is told as always."""
    web = ["--web", "--set", "web_open_browser=false", "--set", "web_port=0"]

    done = run(stage.setting, tmp_path, "run", *web, *stage.options, "--", *CURL, "https://primary.test/")

    page, end = done.stderr.splitlines()
    assert re.fullmatch(r"llm-fallback: mitmweb is at http://127\.0\.0\.1:\d+/\?token=\w+", page)
    assert (done.stdout, end) == ("the primary", "llm-fallback: 1 request")
