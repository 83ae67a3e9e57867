"""What leads a program through the proxy, as environment variables. Pure."""

import shlex
from collections.abc import Callable, Mapping

from llm_fallback.addresses import with_port
from llm_fallback.cli.ca_bundle import VARIABLES

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")  # curl reads no HTTP_PROXY
_EXEMPT_VARIABLES = ("no_proxy", "NO_PROXY")  # the order in which curl and Python look
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where one listens, not where one calls


def proxy_url(host: str, port: int) -> str:
    """The URL of a proxy that listens there, for programs on this machine."""
    return f"http://{with_port(_ANY.get(host, host), port)}"


def variables(environment: Mapping[str, str], proxy: str, bundle: str) -> dict[str, str]:
    """What changes in an environment, so that programs use the proxy and trust the bundle.

    Loopback stays direct, as a mesh's sidecar leaves it: a program's own servers are no providers, Go never
    asks a proxy for them, and Python would. What else is exempt, and ALL_PROXY, stay as they are.
    """
    return {
        **dict.fromkeys(_PROXY_VARIABLES, proxy),
        **dict.fromkeys(_EXEMPT_VARIABLES, _exempt(environment)),
        "NODE_USE_ENV_PROXY": "1",  # or Node reads no proxy variable; known to Node 22.21 and 24
        **dict.fromkeys(VARIABLES, bundle),
    }


def _exempt(environment: Mapping[str, str]) -> str:
    said = [place.strip() for name in _EXEMPT_VARIABLES for place in environment.get(name, "").split(",")]
    return ",".join(dict.fromkeys([*filter(None, said), *_LOOPBACK]))


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)};"


def _fish(name: str, value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}';"


def _powershell(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"$env:{name} = '{quoted}';"


SHELLS: Mapping[str, tuple[Callable[[str, str], str], str]] = {
    "sh": (_sh, 'eval "$(llm-fallback env{})"'),
    "fish": (_fish, "llm-fallback env --shell fish{} | source"),
    "powershell": (_powershell, "llm-fallback env --shell powershell{} | Out-String | Invoke-Expression"),
}
"""How each shell sets a variable, and how it takes in what a program prints."""


def script(shell: str, changes: Mapping[str, str], arguments: str = "") -> str:
    """Lines for the shell; the last says how they get there, with the arguments that made them."""
    assignment, hint = SHELLS[shell]
    lines = [assignment(name, value) for name, value in changes.items()]
    # The hint comes last: where somebody forgets the quotes of eval, all is one line, and it hides nothing.
    return "\n".join([*lines, f"# {hint.format(arguments)}", ""])
