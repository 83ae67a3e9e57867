"""`llm-fallback env`, and what it shares with `run`: variables, authorities, the line at the end."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from llm_fallback import story
from llm_fallback.cli.ca_bundle import VARIABLES, UnreadableError, bundle
from llm_fallback.cli.environment import proxy_url, script, variables
from llm_fallback.cli.summary import summary
from llm_fallback.events import Answer, Attempted, Ejected, Figures, Handled, Rescued
from tests.support.certificates import Authority
from tests.support.commands import run
from tests.support.proxy import Setting

PROXY = "http://127.0.0.1:8080"
ODD = '/a b/it\'s $HOME "x" `y` \\z/ca.pem'


@pytest.fixture(name="confdir")
def odd_folder(setting: Setting, tmp_path: Path) -> Path:
    """mitmproxy's folder, at a place that needs quotes."""
    folder = tmp_path / "it's $HOME"
    folder.mkdir()
    shutil.copy(setting.client_ca, folder) if Path(setting.client_ca).exists() else None
    return folder


def taken_in(setting: Setting, folder: Path, said: str, names: list[str]) -> list[str]:
    """What the variables are in a shell that evaluates this."""
    program = 'eval "$1"; shift; for name; do eval "printf \'%s\\n\' \\"\\$$name\\""; done'
    done = subprocess.run(
        ["sh", "-euc", program, "sh", said, *names],
        env=setting.process_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_shell_takes_it_in(setting: Setting, confdir: Path, tmp_path: Path) -> None:
    """The proxy's address, and a file of authorities whose name is hard to quote."""
    done = run(setting, tmp_path, "env", "--confdir", confdir, "--listen", "127.0.0.1:9")

    assert (done.returncode, done.stderr) == (0, "")
    proxies, files = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], list(VARIABLES)
    values = taken_in(setting, tmp_path, done.stdout, proxies + files)
    assert set(values[:4]) == {"http://127.0.0.1:9"}
    assert {str(Path(value).parent) for value in values[4:]} == {str(confdir)}
    content = Path(values[4]).read_text()
    assert (confdir / "mitmproxy-ca-cert.pem").read_text().strip() in content
    assert setting.ca_bundle.read_text().strip() in content
    assert [file.name for file in confdir.iterdir() if file.name.startswith(".")] == []


def test_eval_without_quotes(setting: Setting, tmp_path: Path) -> None:
    """Still sets everything: a shell makes one line of it then."""
    done = run(setting, tmp_path, "env", "--confdir", setting.confdir)

    one_line = " ".join(done.stdout.split())
    assert taken_in(setting, tmp_path, one_line, ["HTTP_PROXY", "PIP_CERT"])[0] == PROXY


def test_the_first_use_of_a_folder(setting: Setting, tmp_path: Path) -> None:
    """Makes mitmproxy's authority, which mitmproxy uses from then on."""
    folder = tmp_path / "new"

    assert run(setting, tmp_path, "env", "--confdir", folder).returncode == 0
    made = (folder / "mitmproxy-ca-cert.pem").read_bytes()
    assert run(setting, tmp_path, "env", "--confdir", folder).returncode == 0
    assert (folder / "mitmproxy-ca-cert.pem").read_bytes() == made
    assert (folder / "mitmproxy-ca.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--confdir", "/dev/null/x"], 1, "cannot be made in /dev/null/x: ", id="no-folder"),
        pytest.param(["--listen", "127.0.0.1:0"], 2, "'127.0.0.1:0' is not an address", id="any-port"),
        pytest.param(["--shell", "cmd"], 2, "invalid choice: 'cmd'", id="no-shell"),
    ],
)
def test_what_cannot_be(
    setting: Setting, tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    """One sentence, and nothing that a shell would take in."""
    done = run(setting, tmp_path, "env", *arguments)

    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_authorities_that_cannot_be_read(setting: Setting, tmp_path: Path) -> None:
    """Are named with the variable that names them."""
    done = run(setting, tmp_path, "env", "--confdir", setting.confdir, SSL_CERT_FILE="/no/where.pem")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "llm-fallback: SSL_CERT_FILE: /no/where.pem cannot be read (No such file or directory)\n"
    )


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("sh", "export A='/a b/it'\"'\"'s $HOME \"x\" `y` \\z/ca.pem';"),
        ("fish", "set -gx A '/a b/it\\'s $HOME \"x\" `y` \\\\z/ca.pem';"),
        ("powershell", "$env:A = '/a b/it''s $HOME \"x\" `y` \\z/ca.pem';"),
    ],
)
def test_quotes(shell: str, line: str) -> None:
    """As each shell has them; the hint is the same command again."""
    first, hint, end = script(shell, {"A": ODD}, " --listen 127.0.0.1:9").split("\n")

    assert (first, end) == (line, "")
    assert hint.startswith("# ")
    assert "llm-fallback env" in hint
    assert " --listen 127.0.0.1:9" in hint


@pytest.mark.parametrize(
    ("before", "exempt"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": ""}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a.com, .b.com"}, "a.com,.b.com,localhost,127.0.0.1,::1"),
        ({"no_proxy": "localhost,a.com"}, "localhost,a.com,127.0.0.1,::1"),
        ({"no_proxy": "a.com", "NO_PROXY": "b.com,a.com"}, "a.com,b.com,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*,localhost,127.0.0.1,::1"),
    ],
)
def test_what_goes_past_the_proxy(before: Mapping[str, str], exempt: str) -> None:
    """What did before, and loopback."""
    changes = variables(before, PROXY, "ca.pem")

    assert changes["NO_PROXY"] == changes["no_proxy"] == exempt


def test_other_variables_stay() -> None:
    """ALL_PROXY is for protocols that we do not carry."""
    assert not {"ALL_PROXY", "all_proxy"} & variables({"ALL_PROXY": "socks5://a"}, PROXY, "ca.pem").keys()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("::1", "http://[::1]:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("example.com", "http://example.com:1"),
    ],
)
def test_where_one_calls(host: str, url: str) -> None:
    """Who listens everywhere is called here."""
    assert proxy_url(host, 1) == url


def pem(number: int, kind: str = "CERTIFICATE") -> str:
    """Something like a certificate."""
    return f"-----BEGIN {kind}-----\n{'QUJD' * 8}{number:04}\n-----END {kind}-----\n"


def test_authorities(tmp_path: Path) -> None:
    """Of every file that is named, of the system, certifi's and mitmproxy's: each once, and nothing else."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.pem").write_text(pem(4))
    files = {"own": pem(1), "ssl": "# mine\r\n" + pem(2).replace("\n", "\r\n"), "node": pem(2) + pem(3)}
    files["node"] += pem(9, "PRIVATE KEY")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode())
    named = {"SSL_CERT_FILE": "ssl", "NODE_EXTRA_CA_CERTS": "node", "REQUESTS_CA_BUNDLE": "folder"}
    environment = {name: str(tmp_path / place) for name, place in named.items()}

    made = bundle({**environment, "PIP_CERT": ""}, tmp_path / "own").decode()

    blocks = [block.splitlines()[1][-4:] for block in made.split("-----BEGIN CERTIFICATE-----")[1:5]]
    assert blocks == ["0001", "0002", "0004", "0003"]  # in the order of VARIABLES
    assert "PRIVATE KEY" not in made
    assert "# mine" not in made
    assert made.count("BEGIN") >= Path(certifi.where()).read_text().count("BEGIN")
    assert bundle({"SSL_CERT_FILE": str(tmp_path / "own")}, tmp_path / "own").count(b"0001\n-----END") == 1


def test_an_authority_that_is_gone(authority: Authority, tmp_path: Path) -> None:
    """Is an error, whoever names it."""
    authority.write_bundle(tmp_path / "there.pem")
    with pytest.raises(UnreadableError, match=r"^PIP_CERT: .*gone\.pem cannot be read \(No such file"):
        bundle({"PIP_CERT": str(tmp_path / "gone.pem")}, tmp_path / "there.pem")


def handled(status: int | None = 200, *flags: str) -> Handled:
    """A request for a.com, which a.com has answered."""
    tried = Attempted("a.com:80", "10.0.0.1:443", "as it went", 0.1)
    return Handled("POST", "a.com", "a-route", "a.com:80", None, (tried,), status, flags, 0.2)


EJECTED = Ejected("a.com", 80, "10.0.0.1:443", "consecutive 5xx", 10.0, 1)
FALLEN = replace(handled(), target="b.com:80", instead_of="a.com:80")
RESCUED = replace(handled(), target="b.com:80", rescue=Rescued("a-policy", ("a.com:80: reset",)))


@pytest.mark.parametrize(
    ("events", "line"),
    [
        pytest.param([], "no request came to a managed host", id="nothing"),
        pytest.param([handled()], "1 request", id="one"),
        pytest.param([handled(404)] * 3, "3 requests", id="the-provider-says-no"),
        pytest.param([handled(503)], "1 request, 1 failed", id="failed"),
        pytest.param([handled(200, "UC")], "1 request, 1 failed", id="broken-off"),
        pytest.param(
            [replace(handled(), answer=Answer(figures=Figures(has_error=True)))],
            "1 request, 1 failed",
            id="an-error-in-the-stream",
        ),
        pytest.param([handled(None, "DC")], "1 request, 1 given up by the client", id="left"),
        pytest.param(
            [handled(), FALLEN, RESCUED], "3 requests, 2 fell back to b.com:80", id="fallback-and-rescue"
        ),
        pytest.param(
            [EJECTED, FALLEN, EJECTED],
            "1 request, 1 fell back to b.com:80, a.com:80 was ejected 2 times",
            id="ejected",
        ),
    ],
)
def test_the_line_at_the_end(events: list[Handled | Ejected], line: str) -> None:
    """From the log, as the addon writes it in mitmdump and in mitmweb."""
    told = [story.handled(event) if isinstance(event, Handled) else story.ejected(event) for event in events]

    assert summary(["managing a.com", *told]) == line
    assert summary([f"[00:00:00.000] {said}" for said in told]) == line


@pytest.mark.parametrize("command", ["node", "/usr/bin/npx", "npm"])
def test_node_may_not_have_asked(command: str) -> None:
    """Where no request came, that may be why."""
    why = "; Node before 24 (22.21) does not read proxy variables"

    assert summary([], command) == f"no request came to a managed host{why}"
    assert summary([story.handled(handled())], command) == "1 request"
