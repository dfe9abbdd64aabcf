from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from botocore.session import Session

from functions.edge.http import MAX_BODY_BYTES, Answer, Request
from functions.edge.problem import Problem
from functions.kernel.errors import NotFound
from tests.unit.edge.conftest import SCOPE, World, alice, answer, event, raising, refusal

INPUT = "the caller's own words"


def fine(_: Request) -> Answer:
    return Answer(200, {"fine": True})


def echo(request: Request) -> Answer:
    return Answer(200, request.body())


def noting(ran: list[Request]) -> Callable[[Request], Answer]:
    def note(request: Request) -> Answer:
        ran.append(request)
        return Answer(200)

    return note


def client_error(code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": INPUT},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "PutItem",
    )


class TestAnswers:
    def test_an_answer_is_json_that_nobody_caches(self, world: World) -> None:
        answered = answer(world, fine)
        assert answered["statusCode"] == 200
        assert json.loads(answered["body"]) == {"fine": True}
        assert answered["headers"]["content-type"] == "application/json"
        assert answered["headers"]["cache-control"] == "no-store"

    def test_a_route_may_set_its_own_cache_control(self, world: World) -> None:
        run = lambda _: Answer(302, headers={"cache-control": "private"})  # noqa: E731
        assert answer(world, run)["headers"]["cache-control"] == "private"

    def test_an_answer_without_a_body_has_none(self, world: World) -> None:
        answered = answer(world, lambda _: Answer(204))
        assert "body" not in answered
        assert "content-type" not in answered["headers"]

    @pytest.mark.parametrize(
        "run",
        [fine, raising(NotFound()), raising(RuntimeError(INPUT))],
        ids=["answer", "problem", "fault"],
    )
    def test_every_answer_carries_the_request_id(self, world: World, run: Any) -> None:
        assert answer(world, run)["headers"]["x-request-id"] == "request-1"

    def test_headers_of_a_problem_are_sent(self, world: World) -> None:
        run = raising(Problem(503, "unavailable", "", headers={"Retry-After": "1"}))
        assert answer(world, run)["headers"]["Retry-After"] == "1"

    def test_one_containers_answers_do_not_share_headers(self, world: World) -> None:
        one = answer(world, lambda _: Answer(204))["headers"]
        one["x-mine"] = "1"
        assert "x-mine" not in answer(world, lambda _: Answer(204))["headers"]


class TestRequests:
    @pytest.mark.parametrize("name", ["pathParameters", "queryStringParameters", "headers"])
    def test_what_a_gateway_sends_as_null_is_what_it_leaves_out(
        self, world: World, name: str
    ) -> None:
        def items(request: Request) -> Answer:
            return Answer(200, [*request.path, *request.query, *request.headers])

        assert json.loads(answer(world, items, {**event(), name: None})["body"]) == []


class TestFaults:
    def test_an_unknown_exception_is_a_500_that_tells_nothing(self, world: World) -> None:
        answered = answer(world, raising(RuntimeError(INPUT)))
        assert answered["statusCode"] == 500
        assert refusal(answered)["type"].endswith(":internal")
        assert INPUT not in answered["body"]
        assert "RuntimeError" not in answered["body"]
        assert "Traceback" not in answered["body"]

    def test_the_log_names_its_type_and_place_and_not_its_message(self, world: World) -> None:
        def fail(_: Request) -> Answer:
            raise RuntimeError(INPUT)

        answer(world, fail)
        (line,) = world.lines
        assert line["cause"] == "RuntimeError"
        assert line["at"] == f"fail:{fail.__code__.co_firstlineno + 1}"
        assert INPUT not in world.written[0]

    def test_a_kernel_errors_message_is_not_logged(self, world: World) -> None:
        answer(world, raising(NotFound(INPUT)))
        assert world.lines[0]["cause"] == "NotFound"
        assert INPUT not in world.written[0]

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(client_error("ProvisionedThroughputExceededException", 400), id="table"),
            pytest.param(client_error("RequestLimitExceeded", 400), id="account"),
            pytest.param(client_error("ThrottlingException", 400), id="service"),
            pytest.param(client_error("InternalServerError", 500), id="aws-500"),
            pytest.param(client_error("ServiceUnavailable", 503), id="aws-503"),
            pytest.param(ReadTimeoutError(endpoint_url=INPUT), id="timeout"),
            pytest.param(EndpointConnectionError(endpoint_url=INPUT), id="no-connection"),
        ],
    )
    def test_what_passes_by_itself_is_a_503(self, world: World, error: Exception) -> None:
        answered = answer(world, raising(error))
        assert refusal(answered)["status"] == 503
        assert int(answered["headers"]["Retry-After"]) >= 1
        assert INPUT not in answered["body"] + world.written[0]

    @pytest.mark.parametrize(
        "code",
        sorted(
            {
                *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
                *TransientRetryableChecker._TRANSIENT_ERROR_CODES,
            }
        ),
    )
    def test_what_the_sdk_repeats_is_a_503_if_it_lasts(self, world: World, code: str) -> None:
        assert answer(world, raising(client_error(code, 400)))["statusCode"] == 503

    @pytest.mark.parametrize(
        ("service", "shape"),
        [
            ("sqs", "RequestThrottled"),
            ("sqs", "KmsThrottled"),
            ("sqs", "OverLimit"),
            ("sns", "ThrottledException"),
            ("sns", "KMSThrottlingException"),
            ("dynamodb", "TransactionInProgressException"),
        ],
    )
    def test_a_throttle_that_a_service_declares_is_a_503(
        self, world: World, service: str, shape: str
    ) -> None:
        declared = Session().get_service_model(service).shape_for(shape)
        status = declared.metadata.get("error", {}).get("httpStatusCode", 400)
        error = client_error(declared.error_code, status)
        assert answer(world, raising(error))["statusCode"] == 503

    @pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
    def test_what_is_our_own_fault_is_a_500(self, world: World, code: str) -> None:
        answered = answer(world, raising(client_error(code, 400)))
        assert refusal(answered)["status"] == 500
        assert code not in answered["body"]

    def test_a_route_that_the_function_does_not_have_is_a_500(self, world: World) -> None:
        assert answer(world, fine, {**event(), "routeKey": "GET /other"})["statusCode"] == 500


class TestLogging:
    @pytest.mark.parametrize(
        ("run", "status", "outcome"),
        [
            pytest.param(fine, 200, "ok", id="ok"),
            pytest.param(raising(NotFound()), 404, "refused", id="refused"),
            pytest.param(raising(RuntimeError()), 500, "failed", id="failed"),
        ],
    )
    def test_an_invocation_writes_one_line(
        self, world: World, run: Any, status: int, outcome: str
    ) -> None:
        answer(world, run)
        (line,) = world.lines
        assert (line["route"], line["status"]) == ("POST /notes", status)
        assert (line["outcome"], line["request_id"]) == (outcome, "request-1")

    def test_it_tells_how_long_it_took(self, world: World) -> None:
        def slow(_: Request) -> Answer:
            world.clock.advance(0.25)
            return Answer(200)

        answer(world, slow)
        assert world.lines[0]["duration_ms"] == 250

    @pytest.mark.parametrize(
        "given", ["a", "trace-1_2.3", "x" * 64], ids=["short", "marks", "longest"]
    )
    def test_a_correlation_id_is_taken_over(self, world: World, given: str) -> None:
        seen: list[str] = []

        def look(request: Request) -> Answer:
            seen.append(request.log.correlation)
            return Answer(204)

        answer(world, look, event(headers={"x-correlation-id": given}))
        assert seen == [given] == [world.lines[0]["correlation_id"]]

    @pytest.mark.parametrize(
        "given",
        ["", "x" * 65, "a b", "a\nb", "a\n", 'a"b', "ä", "٣"],
        ids=["empty", "long", "space", "line", "line-end", "quote", "letter", "digit"],
    )
    def test_a_malformed_correlation_id_is_ignored(self, world: World, given: str) -> None:
        answer(world, fine, event(headers={"x-correlation-id": given}))
        assert world.lines[0]["correlation_id"] == "request-1"


class TestCallers:
    def test_the_scope_lets_in(self, world: World) -> None:
        request = event(claims=alice("notes:read", SCOPE))
        assert answer(world, fine, request, scope=SCOPE)["statusCode"] == 200

    @pytest.mark.parametrize(
        "scopes",
        [(), ("notes:read",), (SCOPE + "r",), (SCOPE[:-1],), (SCOPE.upper(),)],
        ids=["none", "another", "longer", "shorter", "upper-case"],
    )
    def test_without_the_scope_it_is_403(self, world: World, scopes: tuple[str, ...]) -> None:
        ran: list[Request] = []
        answered = answer(world, noting(ran), event(claims=alice(*scopes)), scope=SCOPE)
        assert (refusal(answered)["status"], ran) == (403, [])

    def test_without_an_identity_it_is_401(self, world: World) -> None:
        ran: list[Request] = []
        answered = answer(world, noting(ran), scope=SCOPE)
        assert (refusal(answered)["status"], ran) == (401, [])

    def test_a_public_route_lets_everyone_in(self, world: World) -> None:
        assert answer(world, fine)["statusCode"] == 200


class TestBodies:
    @pytest.mark.parametrize("text", ["", "{}", "ü\U0001f30d"], ids=["empty", "ascii", "unicode"])
    @pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
    def test_a_body_is_read_as_text(self, world: World, text: str, encoded: bool) -> None:
        sent = base64.b64encode(text.encode()).decode() if encoded else text
        answered = answer(world, echo, event(sent, base64=encoded))
        assert json.loads(answered["body"]) == text

    def test_a_missing_body_is_empty(self, world: World) -> None:
        assert json.loads(answer(world, echo)["body"]) == ""

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            pytest.param("x" * MAX_BODY_BYTES, 200, id="at-the-limit"),
            pytest.param("x" * (MAX_BODY_BYTES + 1), 413, id="above"),
            pytest.param("ü" * (MAX_BODY_BYTES // 2 + 1), 413, id="above-in-bytes"),
        ],
    )
    @pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
    def test_a_body_has_a_size_limit_in_bytes(
        self, world: World, text: str, status: int, encoded: bool
    ) -> None:
        sent = base64.b64encode(text.encode()).decode() if encoded else text
        assert answer(world, echo, event(sent, base64=encoded))["statusCode"] == status

    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param(base64.b64encode(b"\xff\xfe").decode(), id="not-utf-8"),
            pytest.param(
                base64.b64encode("\ud800".encode(errors="surrogatepass")).decode(),
                id="encoded-surrogate",
            ),
            pytest.param("e", id="not-base64"),
        ],
    )
    def test_base64_that_is_no_text_is_400(self, world: World, sent: str) -> None:
        assert refusal(answer(world, echo, event(sent, base64=True)))["status"] == 400
