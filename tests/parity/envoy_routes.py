"""Virtual hosts: what Istio's route.go and retry.go make of a VirtualService."""

from collections.abc import Iterator, Mapping

from tests.parity.envoy_clusters import Rule
from tests.parity.envoy_fallback import Choices
from tests.parity.envoy_names import EXTENSIONS, PORT, Document, destination_cluster, duration

_DEFAULT_RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream,unavailable,cancelled"}
_BACKOFF = {"base_interval": "0.1s", "max_interval": "0.1s"}
"""Instead of Istio's 0 to 25 ms where the VirtualService names none: an ejection crosses two threads inside
Envoy, and a retry in that very millisecond would still hit the ejected endpoint."""

_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def virtual_host(host: str, spec: Document, rules: Mapping[str, Rule]) -> Document:
    """The routes of a host, and how the fallbacks in them are chosen."""
    choices = Choices()
    routes = [route for rule in spec["http"] for route in _routes(rule, choices, rules)]
    return {
        "name": host,
        "domains": [host],
        "include_request_attempt_count": True,
        "routes": routes,
        **choices.settings(),
    }


def _routes(rule: Document, choices: Choices, rules: Mapping[str, Rule]) -> Iterator[Document]:
    for match in rule.get("match") or [{}]:
        if match.get("port", PORT) == PORT:
            yield _route(rule, match, choices, rules)


def _route(rule: Document, match: Document, choices: Choices, rules: Mapping[str, Rule]) -> Document:
    operations, authority = _header_operations(rule.get("headers", {}))
    route: Document = {"match": _match(match), **operations}
    if redirect := rule.get("redirect"):
        route["redirect"] = _redirect(redirect)
    elif direct := rule.get("directResponse"):
        body = {"body": {"inline_string": direct["body"]["string"]}} if "body" in direct else {}
        route["direct_response"] = {"status": direct["status"], **body}
    else:
        route["route"] = _action(rule, route, authority, choices, rules)
    filters: Document = {}
    if fault := rule.get("fault"):
        filters["envoy.filters.http.fault"] = _fault(fault)
    if cors := rule.get("corsPolicy"):
        filters["envoy.filters.http.cors"] = _cors(cors)
    return route | ({"typed_per_filter_config": filters} if filters else {})


def _action(
    rule: Document, route: Document, authority: str | None, choices: Choices, rules: Mapping[str, Rule]
) -> Document:
    action: Document = {"timeout": duration(rule.get("timeout", "0s"))}
    rewrite = rule.get("rewrite", {})
    if regex := rewrite.get("uriRegexRewrite"):
        action["regex_rewrite"] = {"pattern": {"regex": regex["match"]}, "substitution": regex["rewrite"]}
    elif uri := rewrite.get("uri"):
        action["prefix_rewrite"] = uri
    authority = rewrite.get("authority") or authority
    destinations = rule["route"]
    hashes = [_hash_policy(destination["destination"], rules) for destination in destinations]
    if hash_policies := [policy for policy in hashes if policy]:
        action["hash_policy"] = hash_policies
    if len(destinations) == 1:
        action |= choices.cluster(destinations[0])
        operations, own = _header_operations(destinations[0].get("headers", {}))
        for name, values in operations.items():
            route[name] = [*route.get(name, []), *values]
        authority = authority or own
    else:
        action["weighted_clusters"] = {"clusters": list(_weighted(destinations, choices))}
    if authority:
        action["host_rewrite_literal"] = authority
    if mirrors := list(_mirrors(rule)):
        action["request_mirror_policies"] = mirrors
    avoid = not any(hashes) or len(destinations) > 1
    if retries := _retries(rule.get("retries", _DEFAULT_RETRIES), avoid_tried=avoid):
        action["retry_policy"] = retries
    return action


def _hash_policy(destination: Document, rules: Mapping[str, Rule]) -> Document | None:
    rule = rules.get(destination["host"])
    return rule.hash_policy(destination.get("subset")) if rule else None


def _weighted(destinations: list[Document], choices: Choices) -> Iterator[Document]:
    for destination in destinations:
        if weight := destination.get("weight", 0):
            operations, authority = _header_operations(destination.get("headers", {}))
            target = choices.cluster(destination)
            name = {"name": target["cluster"]} if "cluster" in target else target
            rewrite = {"host_rewrite_literal": authority} if authority else {}
            yield {**name, "weight": weight, **operations, **rewrite}


def _retries(retries: Document, *, avoid_tried: bool) -> Document | None:
    """Istio's `ConvertPolicy`."""
    attempts = retries.get("attempts", 0)
    if attempts <= 0:
        return None
    words = [word.strip() for word in retries.get("retryOn", _DEFAULT_RETRIES["retryOn"]).split(",")]
    codes = [int(word) for word in words if word.isdigit()]
    conditions = [word for word in words if word and not word.isdigit()]
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    policy: Document = {
        "num_retries": attempts,
        "retry_on": ",".join(conditions),
        "retriable_status_codes": codes,
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": duration(retries["backoff"])}
        if "backoff" in retries
        else _BACKOFF,
    }
    if "backoff" in retries:
        policy["retry_back_off"] = {"base_interval": duration(retries["backoff"])}
    if retries.get("retryIgnorePreviousHosts", avoid_tried):
        message = f"{EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        predicate = {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": message},
        }
        policy["retry_host_predicate"] = [predicate]
    if "perTryTimeout" in retries:
        policy["per_try_timeout"] = duration(retries["perTryTimeout"])
    return policy


def _match(match: Document) -> Document:
    """Istio's `TranslateRouteMatch`."""
    uri = match.get("uri", {"prefix": "/"})
    found: Document = {"case_sensitive": not match.get("ignoreUriCase", False)}
    if "exact" in uri:
        found["path"] = uri["exact"]
    elif "regex" in uri:
        found["safe_regex"] = {"regex": uri["regex"]}
    else:
        found["prefix"] = uri["prefix"]
    headers = [_header_match(name, value) for name, value in match.get("headers", {}).items()]
    for name, value in match.get("withoutHeaders", {}).items():
        inverse = _header_match(name, value) | {"invert_match": True}
        headers.append(
            inverse if "present_match" in inverse else inverse | {"treat_missing_header_as_empty": True}
        )
    headers.sort(key=lambda header: str(header["name"]))
    pseudo = ("method", "authority", "scheme")
    headers += [_header_match(f":{name}", match[name]) for name in pseudo if name in match]
    if headers:
        found["headers"] = headers
    if "queryParams" in match:
        found["query_parameters"] = [_header_match(name, v) for name, v in match["queryParams"].items()]
    return found


def _header_match(name: str, value: Document) -> Document:
    if not value or value.get("regex") == "*":
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(value)}


def string_match(value: Document) -> Document:
    """Envoy's form of a StringMatch."""
    return {"safe_regex": {"regex": value["regex"]}} if "regex" in value else dict(value)


def _header_operations(headers: Document) -> tuple[Document, str | None]:
    """Istio's `TranslateHeadersOperations`: the operations, and the authority if it is changed."""
    found: Document = {}
    for direction in ("request", "response"):
        said = headers.get(direction, {})
        added = [
            {"header": {"key": name, "value": value}, "append_action": action}
            for field, action in (("set", "OVERWRITE_IF_EXISTS_OR_ADD"), ("add", "APPEND_IF_EXISTS_OR_ADD"))
            for name, value in sorted(said.get(field, {}).items())
            if not _is_internal(name)
        ]
        if added:
            found[f"{direction}_headers_to_add"] = added
        if removed := [name for name in said.get("remove", []) if not _is_internal(name)]:
            found[f"{direction}_headers_to_remove"] = removed
    request = headers.get("request", {})
    changed = {**request.get("add", {}), **request.get("set", {})}
    authority = next((v for name, v in changed.items() if name.lower() in (":authority", "host")), None)
    return found, authority


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def _redirect(redirect: Document) -> Document:
    """Istio's `ApplyRedirect`, for the plain listener on port 80."""
    found: Document = {"response_code": _REDIRECT_CODES[redirect.get("redirectCode", 301)]}
    if uri := redirect.get("uri"):
        found["path_redirect"] = uri
    if authority := redirect.get("authority"):
        found["host_redirect"] = authority
    scheme = redirect.get("scheme", "http")
    if "scheme" in redirect:
        found["scheme_redirect"] = scheme
    port = PORT if redirect.get("derivePort") == "FROM_REQUEST_PORT" else redirect.get("port")
    if port and (port, scheme) not in ((80, "http"), (443, "https")):
        found["port_redirect"] = port
    return found


def _percent(percentage: Document | None) -> Document:
    return {"numerator": int((percentage or {}).get("value", 0) * 10_000), "denominator": "MILLION"}


def _fault(fault: Document) -> Document:
    """Istio's `TranslateFault`."""
    found: Document = {"@type": f"{EXTENSIONS}.filters.http.fault.v3.HTTPFault"}
    if delay := fault.get("delay"):
        found["delay"] = {
            "percentage": _percent(delay.get("percentage")),
            "fixed_delay": duration(delay["fixedDelay"]),
        }
    if abort := fault.get("abort"):
        status = {"http_status": abort["httpStatus"]}
        percentage = {"percentage": _percent(abort["percentage"])} if "percentage" in abort else {}
        found["abort"] = status | percentage
    return found


def _cors(cors: Document) -> Document:
    """Istio's `TranslateCORSPolicy`."""
    found: Document = {
        "@type": f"{EXTENSIONS}.filters.http.cors.v3.CorsPolicy",
        "forward_not_matching_preflights": cors.get("unmatchedPreflights") != "IGNORE",
        "allow_origin_string_match": [string_match(origin) for origin in cors.get("allowOrigins", [])],
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
    }
    lists = {
        "allowMethods": "allow_methods",
        "allowHeaders": "allow_headers",
        "exposeHeaders": "expose_headers",
    }
    found |= {theirs: ",".join(cors[ours]) for ours, theirs in lists.items() if ours in cors}
    if "maxAge" in cors:
        found["max_age"] = cors["maxAge"].removesuffix("s")
    if "allowCredentials" in cors:
        found["allow_credentials"] = cors["allowCredentials"]
    return found


def _mirrors(rule: Document) -> Iterator[Document]:
    mirrors = [(m["destination"], m.get("percentage")) for m in rule.get("mirrors", [])]
    if "mirror" in rule:
        mirrors.insert(0, (rule["mirror"], rule.get("mirrorPercentage")))
    for destination, percentage in mirrors:
        fraction = (
            {"numerator": 100, "denominator": "HUNDRED"} if percentage is None else _percent(percentage)
        )
        if fraction["numerator"]:
            cluster = destination_cluster(destination)
            yield {
                "cluster": cluster,
                "runtime_fraction": {"default_value": fraction},
                "trace_sampled": False,
            }
