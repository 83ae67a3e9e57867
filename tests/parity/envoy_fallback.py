"""ASM's fallback on stock Envoy: a Lua filter that decides before the route is chosen.

ASM decides once per request, at route level, by whether the primary has a healthy endpoint. Envoy's Lua
cannot count those, but Envoy's admin interface can tell: `membership_healthy`. So for each request to a host
whose routes have a fallback, the filter asks Envoy's own admin interface, writes the name of the chosen
cluster into a header for each of those destinations, and the routes take their cluster from it
(`cluster_header`).
"""

from tests.parity.envoy_names import EXTENSIONS, Document, destination_cluster

ADMIN_CLUSTER = "admin"
_NAME = "asm.fallback"
_HEADER = "x-asm-target-"
_SCRIPT = """
function envoy_on_request(handle)
  local choices, names = {}, {}
  for header, pair in pairs(handle:filterContext()) do
    local primary, fallback = string.match(pair, "^(%S+) (%S+)$")
    choices[header] = {primary, fallback}
    table.insert(names, primary)
    table.insert(names, fallback)
  end
  if #names == 0 then return end
  local filter = "^cluster%5C.(" .. table.concat(names, "%7C") .. ")%5C.membership_healthy$"
  local request = {[":method"] = "GET", [":path"] = "/stats?filter=" .. filter, [":authority"] = "admin"}
  local _, said = handle:httpCall("admin", request, "", 5000)
  local healthy = {}
  for name, count in string.gmatch(said, "cluster%.([^.\\n]+)%.membership_healthy: (%d+)") do
    healthy[name] = tonumber(count) > 0
  end
  for header, choice in pairs(choices) do
    local primary, fallback = choice[1], choice[2]
    handle:headers():replace(header, (not healthy[primary] and healthy[fallback]) and fallback or primary)
  end
  handle:clearRouteCache()
end
"""


def lua_filter() -> Document:
    """The filter."""
    lua = {
        "@type": f"{EXTENSIONS}.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": _SCRIPT},
    }
    return {"name": _NAME, "typed_config": lua}


class Choices:
    """The choices to be made for the requests of one virtual host."""

    def __init__(self) -> None:
        self._pairs: dict[str, str] = {}

    def cluster(self, destination: Document) -> Document:
        """Where a weighted destination's requests go: a cluster, or one that the filter names."""
        primary = destination_cluster(destination["destination"])
        fallback = destination.get("fallback")
        if not fallback:
            return {"cluster": primary}
        header = f"{_HEADER}{len(self._pairs)}"
        self._pairs[header] = f"{primary} {destination_cluster(fallback['target'])}"
        return {"cluster_header": header}

    def settings(self) -> Document:
        """What the virtual host says about it."""
        if not self._pairs:
            return {}
        lua = {"@type": f"{EXTENSIONS}.filters.http.lua.v3.LuaPerRoute", "filter_context": self._pairs}
        return {
            "request_headers_to_remove": list(self._pairs),
            "typed_per_filter_config": {_NAME: lua},
        }
