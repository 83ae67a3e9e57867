"""A client with every kind of credential, and what it sends besides."""

import json

from tests.support.clients import JSON
from tests.support.secret import Secret

BEARER = Secret("the client's Authorization", "sk-client-bearer-7b1d")
API_KEY = Secret("the client's api-key header", "client-api-key-92fe")
X_API_KEY = Secret("the client's x-api-key header", "client-x-api-key-51ac")
COOKIE = Secret("the client's cookie", "client-session-cookie-6e20")
QUERY_KEY = Secret("the client's ?api-key=", "client-query-key-c4d8")
REFERER_KEY = Secret("the client's key in a Referer", "client-referer-key-3f07")
APP_KEY = Secret("the client's x-appkey, as HTTP/2 writes it", "client-app-key-08c2")
FRAGMENT_KEY = Secret("the client's token in the fragment of a URL", "client-fragment-token-77e1")
NESTED_KEY = Secret("the client's key in a URL in a query", "client-nested-key-d51f")
PROXY_KEY = Secret("the client's Proxy-Authorization", "client-proxy-auth-b00c")
CLIENTS = (
    *(BEARER, API_KEY, X_API_KEY, COOKIE, QUERY_KEY, REFERER_KEY),
    *(APP_KEY, FRAGMENT_KEY, NESTED_KEY),
)
"""Those that go on to a provider which has no key of its own."""
MARKER, IN_HEADER = "marker-in-a-request", "marker-in-a-header"
NOTE = "why does it say [redacted]"
BODY = json.dumps({"messages": [{"role": "user", "content": MARKER}]})
HEADERS = {
    **JSON,
    "Authorization": f"Bearer {BEARER.value}",
    "api-key": API_KEY.value,
    "X-API-Key": X_API_KEY.value,
    "Cookie": f"session={COOKIE.value}",
    "Proxy-Authorization": f"Basic {PROXY_KEY.value}",
    "Referer": f"http://keyed.test/?key={REFERER_KEY.value}&page=1",
    "x-appkey": APP_KEY.value,
    "X-Page": f"https://keyed.test/#access_token={FRAGMENT_KEY.value}",
    "X-Marker": IN_HEADER,
    "X-Note": NOTE,
}
QUERY = f"?api-key={QUERY_KEY.value}&api-version=1&next=%2Fpage%3Fkey%3D{NESTED_KEY.value}"
