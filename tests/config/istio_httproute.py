"""Istio's cases for what a VirtualService's rule does apart from matching and choosing a destination."""

import base64
from typing import Any

from tests.config.istio import Case, Spec, accepted, rejected, unsupported
from tests.config.istio_virtualservice import ELSEWHERE, TO, only, rule

HTTP = "spec.http[0]"
KB, MB = 1024, 1024 * 1024


def headers(side: str, **operations: Any) -> Spec:
    """A rule whose destination changes headers."""
    return only(route=[{**TO, "headers": {side: operations}}])


def answer(status: int, **body: str) -> Spec:
    """A rule that answers itself."""
    return only(directResponse={"status": status} | ({"body": body} if body else {}))


def encoded(size: int) -> str:
    return base64.b64encode(b"a" * size).decode()


def fault(what: str, share: float | None = 20, **fields: Any) -> Spec:
    """A rule with a fault for a share of the requests."""
    return rule(fault={what: fields | ({} if share is None else {"percentage": {"value": share}})})


def cors(**fields: Any) -> Spec:
    """A rule with a policy for other origins that is in order but for the given fields."""
    policy = {
        "allowMethods": ["GET", "POST"],
        "allowHeaders": ["a", "b"],
        "exposeHeaders": ["c"],
        "maxAge": "2s",
    }
    return rule(corsPolicy=policy | fields)


def retry(**fields: Any) -> Spec:
    """A rule with retries."""
    return rule(retries=fields)


REQUEST, RESPONSE = f"{HTTP}.route[0].headers.request", f"{HTTP}.route[0].headers.response"
REGEX = {"match": "^/book/([^/]+)(/.*)$", "rewrite": r"\2/copy/\1"}
EACH = {"set": {"a": ""}, "add": {"a": ""}, "remove": ["a"]}

HEADERS: list[Case] = [
    *accepted(
        every_operation=only(route=[{**TO, "headers": {"request": EACH, "response": EACH}}]),
        an_escaped_percent_set=headers("response", set={"a": "100%%"}),
        an_escaped_percent_added=headers("response", add={"a": "100%% and more"}),
        the_authority_of_a_rule=rule(headers={"request": {"set": {":authority": "a"}}}),
        the_authority_of_a_destination=headers("request", set={":authority": "a"}),
        the_host_of_a_rule=rule(headers={"request": {"add": {"Host": "a"}}}),
        a_tab=headers("request", set={"a": "b\tc"}),
    ),
    *rejected(f"{REQUEST}.add.", no_name_in_requests_add=headers("request", add={"": "a"})),
    *rejected(f"{REQUEST}.set.", no_name_in_requests_set=headers("request", set={"": "a"})),
    *rejected(f"{REQUEST}.remove[0]", no_name_in_requests_remove=headers("request", remove=[""])),
    *rejected(f"{RESPONSE}.add.", no_name_in_answers_add=headers("response", add={"": "a"})),
    *rejected(f"{RESPONSE}.set.", no_name_in_answers_set=headers("response", set={"": "a"})),
    *rejected(f"{RESPONSE}.remove[0]", no_name_in_answers_remove=headers("response", remove=[""])),
    *rejected(f"{RESPONSE}.set.a", a_lone_percent_set=headers("response", set={"a": "abc%nonsense"})),
    *rejected(f"{RESPONSE}.add.a", a_lone_percent_added=headers("response", add={"a": "abc%nonsense"})),
    *rejected(f"{REQUEST}.set.a", a_line_break=headers("request", set={"a": "b\r\nc: d"})),
    *rejected(f"{REQUEST}.set.:path", another_pseudo_header=headers("request", set={":path": "/"})),
    *rejected(f"{REQUEST}.remove[0]", the_host_removed=headers("request", remove=["Host"])),
    *rejected(f"{RESPONSE}.set.host", the_host_of_an_answer=headers("response", set={"host": "a"})),
    *rejected(
        f"{HTTP}.headers.request.set.:authority",
        the_authority_rewritten_and_set=rule(
            rewrite={"authority": "b"}, headers={"request": {"set": {":authority": "a"}}}
        ),
    ),
    *rejected(
        f"{HTTP}.headers.request.add.host",
        the_authority_set_and_added=rule(
            headers={"request": {"set": {":authority": "a"}, "add": {"host": "b"}}}
        ),
    ),
    *unsupported(f"{RESPONSE}.set.a", a_command_set=headers("response", set={"a": "%HOSTNAME%"})),
    *unsupported(f"{RESPONSE}.add.a", a_command_added=headers("response", add={"a": "I am %HOSTNAME%"})),
    *unsupported(
        f"{REQUEST}.set.a", a_command_with_arguments=headers("request", set={"a": '%REQ(["b", "c"])%'})
    ),
]

CORS: list[Case] = [
    *accepted(
        a_policy=cors(),
        three_ways_to_name_an_origin=cors(allowOrigins=[{"exact": "a"}, {"prefix": "a"}, {"regex": "a"}]),
        any_header=cors(allowHeaders=["*"], exposeHeaders=["*"]),
        a_header_with_capitals=cors(exposeHeaders=["X-Requested-With"]),
        other_preflights_answered=cors(unmatchedPreflights="IGNORE", allowCredentials=True),
        origins_as_they_used_to_be=cors(allowOrigin=["https://a.test"]),
    ),
    *rejected(f"{HTTP}.corsPolicy.allowMethods[1]", a_method_that_is_none=cors(allowMethods=["GET", "PUTT"])),
    *rejected(
        f"{HTTP}.corsPolicy.exposeHeaders[0]",
        an_exposed_header_without_name=cors(exposeHeaders=[""]),
        an_exposed_pseudo_header=cors(exposeHeaders=[":authority"]),
    ),
    *rejected(
        f"{HTTP}.corsPolicy.maxAge",
        an_age_with_nanoseconds=cors(maxAge="2.000000042s"),
        an_age_with_milliseconds=cors(maxAge="2500ms"),
    ),
    *rejected(f"{HTTP}.corsPolicy.allowOrigins[0]", an_empty_origin=cors(allowOrigins=[{"exact": ""}])),
    *rejected(
        f"{HTTP}.corsPolicy.allowOrigins[0]", an_empty_prefix_of_origins=cors(allowOrigins=[{"prefix": ""}])
    ),
    *rejected(
        f"{HTTP}.corsPolicy.allowOrigins[0].regex",
        an_empty_regex_of_origins=cors(allowOrigins=[{"regex": ""}]),
    ),
]

FAULTS: list[Case] = [
    *accepted(
        an_abort=fault("abort", httpStatus=200),
        an_abort_of_no_share=fault("abort", None, httpStatus=200),
        an_abort_of_a_small_share=fault("abort", 0.001, httpStatus=200),
        an_abort_without_status=fault("abort"),
        a_delay=fault("delay", fixedDelay="3s"),
        a_delay_of_no_share=fault("delay", None, fixedDelay="3s"),
        a_delay_of_a_small_share=fault("delay", 0.001, fixedDelay="3s"),
    ),
    *rejected(
        f"{HTTP}.fault.abort.httpStatus",
        an_abort_with_9000=fault("abort", httpStatus=9000),
        an_abort_with_100=fault("abort", httpStatus=100),
    ),
    *rejected(
        f"{HTTP}.fault.abort.percentage.value", an_abort_of_less_than_none=fault("abort", -10, httpStatus=200)
    ),
    *rejected(
        f"{HTTP}.fault.delay.percentage.value",
        a_delay_of_more_than_all=fault("delay", 101, fixedDelay="3s"),
        a_delay_of_less_than_none=fault("delay", -10, fixedDelay="3s"),
        a_delay_of_too_small_a_share=fault("delay", 0.00001, fixedDelay="3s"),
    ),
    *rejected(
        f"{HTTP}.fault.delay.fixedDelay", a_delay_with_nanoseconds=fault("delay", fixedDelay="3.000000042s")
    ),
    *rejected(f"{HTTP}.fault.abort", neither_abort_nor_delay=rule(fault={})),
    *unsupported(
        f"{HTTP}.fault.abort.grpcStatus",
        an_abort_of_grpc=fault("abort", grpcStatus="DEADLINE_EXCEEDED"),
        an_abort_of_grpc_of_no_share=fault("abort", None, grpcStatus="DEADLINE_EXCEEDED"),
        an_abort_of_grpc_of_a_small_share=fault("abort", 0.001, grpcStatus="INTERNAL"),
        an_abort_of_grpc_with_no_status=fault("abort", grpcStatus="WRONG"),
    ),
    *rejected(
        f"{HTTP}.fault.abort.percentage.value",
        an_abort_of_grpc_of_less_than_none=fault("abort", -10, grpcStatus="DEADLINE_EXCEEDED"),
    ),
]

RETRIES: list[Case] = [
    *accepted(
        retries=retry(attempts=10, perTryTimeout="2s", retryOn="5xx,gateway-error"),
        no_retries=retry(attempts=0),
        retries_as_istio_has_them=retry(attempts=10),
        retries_on_a_status=retry(attempts=10, perTryTimeout="2s", retryOn="503,connect-failure"),
        a_timeout=rule(timeout="10s"),
    ),
    *rejected(
        f"{HTTP}.retries.attempts",
        no_attempts_but_conditions=retry(attempts=0, perTryTimeout="2s", retryOn="5xx,gateway-error"),
        no_attempts_but_localities=retry(attempts=0, retryRemoteLocalities=False),
        fewer_than_no_attempts=retry(attempts=-1, perTryTimeout="2s"),
    ),
    *rejected(
        f"{HTTP}.retries.perTryTimeout",
        a_try_with_nanoseconds=retry(attempts=10, perTryTimeout="2.000000001s"),
        a_try_too_short=retry(attempts=10, perTryTimeout="999ns"),
    ),
    *rejected(f"{HTTP}.retries.backoff", a_back_off_too_short=retry(attempts=10, backoff="999ns")),
    *rejected(
        f"{HTTP}.retries.retryOn",
        a_condition_that_is_none=retry(attempts=10, retryOn="5xx,odd condition"),
        a_status_that_is_none=retry(attempts=10, retryOn="600,connect-failure"),
        a_space_after_a_comma=retry(attempts=10, retryOn="5xx, reset"),
    ),
    *rejected(f"{HTTP}.timeout", no_time_at_all=rule(timeout="0s")),
]

REWRITES: list[Case] = [
    *accepted(
        path_and_authority=rule(rewrite={"uri": "/a", "authority": "b.test"}),
        path_only=rule(rewrite={"uri": "/a"}),
        authority_only=rule(rewrite={"authority": "b.test"}),
        path_by_regex=rule(rewrite={"uriRegexRewrite": REGEX}),
        path_by_regex_and_authority=rule(rewrite={"authority": "b.test", "uriRegexRewrite": REGEX}),
    ),
    *rejected(
        f"{HTTP}.rewrite.uriRegexRewrite",
        a_path_in_two_ways=rule(rewrite={"uri": "/a", "uriRegexRewrite": REGEX}),
    ),
    *rejected(f"{HTTP}.rewrite.uri", no_rewrite=rule(rewrite={})),
    *rejected(
        f"{HTTP}.rewrite.uriRegexRewrite.match",
        nothing_to_replace=rule(rewrite={"uriRegexRewrite": {"rewrite": REGEX["rewrite"]}}),
        an_unfinished_regex=rule(rewrite={"uriRegexRewrite": {"match": "[", "rewrite": "["}}),
    ),
    *rejected(
        f"{HTTP}.rewrite.uriRegexRewrite.rewrite",
        nothing_instead=rule(rewrite={"uriRegexRewrite": {"match": REGEX["match"]}}),
    ),
]

ANSWERS: list[Case] = [
    *accepted(
        a_redirect=only(redirect=ELSEWHERE),
        a_redirect_of_the_path=only(redirect={"uri": "a", "authority": ""}),
        a_redirect_of_the_authority=only(redirect={"uri": "", "authority": "a"}),
        a_redirect_with_code_0=only(redirect={**ELSEWHERE, "redirectCode": 0}),
        a_redirect_with_code_308=only(redirect={**ELSEWHERE, "redirectCode": 308}),
        a_redirect_of_the_scheme=only(redirect={"scheme": "https", "derivePort": "FROM_PROTOCOL_DEFAULT"}),
        status_200=answer(200),
        status_600=answer(600),
        a_text=answer(200, string="hello"),
        a_long_text=answer(200, string="a" * 101 * KB),
        bytes=answer(200, bytes=encoded(5)),
        many_bytes=answer(200, bytes=encoded(100 * KB + 1)),
    ),
    *rejected(f"{HTTP}.redirect.uri", a_redirect_to_nowhere=only(redirect={"uri": "", "authority": ""})),
    *rejected(
        f"{HTTP}.redirect.redirectCode",
        a_redirect_with_299=only(redirect={"uri": "a", "redirectCode": 299}),
        a_redirect_with_400=only(redirect={"uri": "a", "redirectCode": 400}),
    ),
    *rejected(f"{HTTP}.redirect.scheme", a_scheme_that_is_none=only(redirect={"scheme": "ftp"})),
    *rejected(
        f"{HTTP}.redirect.derivePort",
        a_port_in_two_ways=only(redirect={"port": 1, "derivePort": "FROM_REQUEST_PORT"}),
    ),
    *rejected(
        f"{HTTP}.directResponse.status",
        status_0=answer(0),
        status_minus_100=answer(-100),
        status_199=answer(199),
        status_601=answer(601),
    ),
    *rejected(
        f"{HTTP}.directResponse.body",
        a_text_too_long=answer(200, string="a" * 2 * MB),
        too_many_bytes=answer(200, bytes=encoded(MB + 1)),
    ),
    *rejected(f"{HTTP}.redirect", a_destination_and_a_redirect=rule(redirect=ELSEWHERE)),
    *rejected(f"{HTTP}.directResponse", a_destination_and_an_answer=rule(directResponse={"status": 200})),
    *rejected(
        f"{HTTP}.directResponse",
        a_redirect_and_an_answer=only(redirect=ELSEWHERE, directResponse={"status": 200}),
    ),
    *rejected(f"{HTTP}.rewrite", a_redirect_and_a_rewrite=only(redirect=ELSEWHERE, rewrite={"uri": "/"})),
    *rejected(
        f"{HTTP}.fault",
        an_answer_and_a_fault=only(directResponse={"status": 200}, fault={"abort": {"httpStatus": 500}}),
    ),
    *unsupported(
        f"{HTTP}.redirect.redirectCode", a_redirect_with_304=only(redirect={"uri": "a", "redirectCode": 304})
    ),
]

MIRRORS: list[Case] = [
    *accepted(
        a_share_copied=rule(mirrorPercentage={"value": 1}),
        a_share_as_it_used_to_be=rule(mirrorPercent=5),
        two_mirrors=rule(mirrors=[{**TO, "percentage": {"value": 1}}, {**TO, "percentage": {"value": 50}}]),
        a_mirror=rule(mirror={"host": "copy.shop.test"}),
    ),
    *rejected(f"{HTTP}.mirrorPercent", more_than_all_as_it_used_to_be=rule(mirrorPercent=101)),
    *rejected(
        f"{HTTP}.mirrorPercentage.value",
        more_than_all_copied=rule(mirrorPercentage={"value": 101}),
        less_than_none_copied=rule(mirrorPercentage={"value": -1}),
    ),
    *rejected(f"{HTTP}.mirrors[0].destination", a_mirror_without_destination=rule(mirrors=[{}])),
    *rejected(
        f"{HTTP}.mirrors[1].percentage.value",
        a_mirror_of_more_than_all=rule(mirrors=[TO, {**TO, "percentage": {"value": 101}}]),
    ),
    *rejected(
        f"{HTTP}.mirrors[0].percentage.value",
        a_mirror_of_less_than_none=rule(mirrors=[{**TO, "percentage": {"value": -1}}]),
    ),
    *rejected(f"{HTTP}.mirrors", mirror_and_mirrors=rule(mirror={"host": "a.test"}, mirrors=[TO])),
]
