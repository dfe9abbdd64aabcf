"""Envelopes that are broken: handled or handed over, never dropped, never a wrong row, and what
stands in them never in a log line.

The event table holds the truth throughout, as it does when a record is damaged on its way. What is
well-formed and lies cannot be told from it, and is not tried here.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto.sqs.models import sqs_backends

from tests.support.handlers import ROOT
from tests.support.pump import Stack
from tests.support.template import ACCOUNT, REGION

SECRET = "c0ff33-nobody-may-read-this"
"""Stands in every payload, and must stand nowhere else."""
OWNER = "alice"
ANY = {"if-match": "*"}
PROJECT = "ShortenerProject"

Json = dict[str, Any]
Damage = Callable[[Json], None]

often = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class World:
    """Three links in the store, none in the view: `records` are what the stream says of them,
    `right` the rows that these make undamaged."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        for alias, changes in (("made", 0), ("edited", 2), ("deleted", 1)):
            body = {"long_url": f"https://example.com/{SECRET}", "alias": alias}
            stack.request("POST", "/v1/links", user=OWNER, json=body)
            for number in range(changes):
                change = {"long_url": f"https://example.com/{SECRET}/{number}"}
                stack.request("PATCH", f"/v1/links/{alias}", user=OWNER, headers=ANY, json=change)
        stack.request("DELETE", "/v1/links/deleted", user=OWNER, headers=ANY)
        self.records = stack.stream_records()
        self.numbers = {
            each["dynamodb"]["SequenceNumber"]: stream_of(each) for each in self.records
        }
        self.deliver(self.records)
        self.right = self.rows()
        self.clear()

    def deliver(self, records: list[Json]) -> None:
        """Hands records on as Lambda does, retries and all that follows included."""
        self.stack.deliver(PROJECT, records)
        self.stack.drain()

    def invoke(self, event: Any) -> Any:
        """One invocation: its result, or the exception that makes Lambda retry."""
        try:
            return self.stack.invoke(PROJECT, event)
        except Exception as error:
            return error

    def rows(self) -> dict[str, Json]:
        """The rows of the view by stream."""
        table = self.stack.functions[PROJECT].env["VIEWS_TABLE"]
        items = self.stack.client("dynamodb").scan(TableName=table)["Items"]
        rows = {item["pk"]["S"]: item for item in items}
        return {
            key.partition("#")[2]: row for key, row in rows.items() if key.startswith("links@1#")
        }

    def handed_over(self) -> str:
        """All that waits for somebody to look: dead letters, batches given up, quarantine."""
        table = self.stack.functions[PROJECT].env["VIEWS_TABLE"]
        items = self.stack.client("dynamodb").scan(TableName=table)["Items"]
        aside = [key for item in items if (key := item["pk"]["S"]).startswith("quarantine#")]
        queues = ("ShortenerRetryDlq", "ShortenerUndelivered", "ShortenerRetry")
        messages = [body for queue in queues for body in self.stack.messages(queue)]
        return "\n".join(messages + aside)

    def clear(self) -> None:
        """No rows, no messages, no lines; the events stay."""
        client = self.stack.client("dynamodb")
        table = self.stack.functions[PROJECT].env["VIEWS_TABLE"]
        for item in client.scan(TableName=table)["Items"]:
            client.delete_item(TableName=table, Key={"pk": item["pk"]})
        # A queue may be purged once a minute only.
        for queue in sqs_backends[ACCOUNT][REGION].queues.values():
            queue._messages.clear()
        self.stack.logs.clear()
        self.stack.failures.clear()


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """One world for all examples, which leave the events as they are."""
    with Stack([ROOT / "template.yaml"]) as stack:
        yield World(stack)


@pytest.fixture
def world(shared: World) -> World:
    """The shared world, cleared."""
    shared.clear()
    return shared


def stream_of(record: Json) -> str:
    return str(record["dynamodb"]["Keys"]["pk"]["S"])


# ---- Damage to a stream record ----------------------------------------------------------------

VALUES = st.sampled_from([None, True, 0, -1, 1e308, 10**40, "", SECRET, [], [SECRET], {}, {"S": 1}])


def lose(*path: str) -> Damage:
    """A key that is missing."""

    def damage(record: Json) -> None:
        part = record
        for name in path[:-1]:
            part = part[name]
        part.pop(path[-1], None)

    return damage


def put(value: Any, *path: str) -> Damage:
    """A value of another kind."""

    def damage(record: Json) -> None:
        part = record
        for name in path[:-1]:
            part = part[name]
        if path[-1] in part:
            part[path[-1]] = value

    return damage


def cut(length: int, name: str) -> Damage:
    """An attribute's text that ends too soon."""

    def damage(record: Json) -> None:
        for kind, text in record["dynamodb"]["NewImage"].get(name, {}).items():
            record["dynamodb"]["NewImage"][name] = {kind: text[: min(length, len(text) - 1)]}

    return damage


def written(name: str, text: str) -> Damage:
    """An attribute's text that is JSON of another shape, if the record has it."""

    def damage(record: Json) -> None:
        if name in record["dynamodb"]["NewImage"]:
            record["dynamodb"]["NewImage"][name] = {"S": text}

    return damage


IMAGE = ("dynamodb", "NewImage")
ATTRIBUTES = ["pk", "sk", "n", "id", "e", "m", "s", "r"]
SHAPES = [
    "null", "5", "[]", "{}", '"text"', "[1]", "[1,null]", "[1,[]]", "[1,{}]", "[99,{}]", "[0,{}]",
    '["1",{}]', f'[["{SECRET}",1,{{}}]]', '[["LinkDeleted",99,{}]]', '[["LinkCreated",1,{}]]',
    '[["LinkCreated"]]', "[[]]", "[" * 10_000, f'{{"{SECRET}":1}}', "NaN", "\ud83d",
]  # fmt: skip
DAMAGES = st.one_of(
    st.sampled_from([lose("eventSource"), lose(*IMAGE), lose("dynamodb", "Keys")]),
    st.builds(put, VALUES, st.just("eventSource")),
    st.builds(lambda name: lose(*IMAGE, name), st.sampled_from(ATTRIBUTES)),
    st.builds(lambda value, name: put(value, *IMAGE, name), VALUES, st.sampled_from(ATTRIBUTES)),
    st.builds(
        lambda value, name, kind: put({kind: value}, *IMAGE, name),
        st.sampled_from([None, True, 10**40, [], {}, [SECRET]]),
        st.sampled_from(["pk", "id", "e", "m", "s", "r"]),
        st.sampled_from("SNBX"),
    ),
    st.builds(cut, st.integers(0, 400), st.sampled_from(["e", "m", "s", "r"])),
    st.builds(written, st.sampled_from(["e", "s", "m"]), st.sampled_from(SHAPES)),
    st.builds(put, VALUES, st.just("userIdentity")),
)


def assert_nothing_leaked(world: World) -> None:
    """Neither the lines nor what Lambda would log of an exception quote a payload."""
    raised = [str(failure) for _, failure in world.stack.failures]
    assert SECRET not in json.dumps(world.stack.logs) + "".join(raised)


def assert_settled(world: World) -> None:
    """Each stream's row is right, or somebody is told; there is no row of anything else."""
    rows, told = world.rows(), world.handed_over()
    assert rows.keys() <= world.right.keys()
    for stream, right in world.right.items():
        row = rows.get(stream)
        behind = row is None or int(row["v"]["N"]) < int(right["v"]["N"])
        # A batch that is given up is told by its sequence numbers.
        names = {stream, *(number for number, of in world.numbers.items() if of == stream)}
        assert row == right or (behind and any(name in told for name in names)), stream


def damaged(world: World, *damages: tuple[int, Damage]) -> list[Json]:
    """The records with damage done to some."""
    records = copy.deepcopy(world.records)
    for index, damage in damages:
        damage(records[index % len(records)])
    return records


@often
@given(
    damages=st.lists(st.tuples(st.integers(0, 6), DAMAGES), min_size=1, max_size=3),
    chance=st.randoms(use_true_random=False),
)
def test_a_damaged_record_is_handled_or_handed_over_and_the_others_go_on(
    shared: World, damages: list[tuple[int, Damage]], chance: Any
) -> None:
    shared.clear()
    records = damaged(shared, *damages)
    chance.shuffle(records)
    shared.deliver(records)
    assert_settled(shared)
    assert_nothing_leaked(shared)


def test_a_record_that_only_names_its_stream_rings_it(world: World) -> None:
    world.deliver(damaged(world, *((index, lose(*IMAGE)) for index in range(7))))
    assert_settled(world)


@pytest.mark.parametrize(
    ("index", "number"),
    [(1, "99"), (3, "99"), (6, "1" * 38), (6, "-1")],
    ids=["hides what is newer", "before its time", "for ever", "negative"],
)
def test_an_image_whose_numbers_disagree_is_not_believed(
    world: World, index: int, number: str
) -> None:
    world.deliver(damaged(world, (index, put({"N": number}, *IMAGE, "n"))))
    assert_settled(world)


def test_what_stands_for_the_recorded_time_is_no_log_field(world: World) -> None:
    world.deliver(damaged(world, (6, written("m", json.dumps({"at": SECRET})))))
    assert_settled(world)
    assert_nothing_leaked(world)


def test_an_invocation_that_raises_does_not_call_itself_ok(world: World) -> None:
    raised = world.invoke({"Records": [{"eventSource": "aws:dynamodb"}]})
    assert isinstance(raised, Exception)
    assert [line["outcome"] for line in world.stack.logs] == ["failed"]


# ---- Envelopes around them --------------------------------------------------------------------

TEXT = st.sampled_from(["", SECRET, "aws:sqs", "aws:dynamodb", "1", "Records"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(
    st.sampled_from(["eventSource", "eventName", "body", "messageId", "attributes", "dynamodb"]),
    JSON | st.sampled_from(["aws:sqs", "aws:dynamodb", "aws:kinesis", "INSERT"]),
)


@often
@given(event=JSON | st.fixed_dictionaries({"Records": JSON | st.lists(RECORDS | JSON, max_size=4)}))
@example(event={})
@example(event={"Records": []})
@example(event={"Records": None})
def test_what_is_no_envelope_writes_nothing_and_is_not_quoted(shared: World, event: Any) -> None:
    shared.clear()
    result = shared.invoke(event)
    assert SECRET not in str(result)
    assert shared.rows() == {}
    assert_nothing_leaked(shared)


def message(number: int, body: str) -> Json:
    """A record of the retry queue, as Lambda hands it over."""
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": "us-east-1",
    }


@pytest.mark.parametrize("first", ["stream", "queue"])
def test_a_batch_of_mixed_sources_is_tried_again_whole_or_reported(
    world: World, first: str
) -> None:
    bell = message(1, json.dumps({"stream": stream_of(world.records[0])}))
    pair = [world.records[-1], bell]
    result = world.invoke({"Records": pair if first == "stream" else pair[::-1]})
    assert isinstance(result, Exception)
    assert all(world.right[stream] == row for stream, row in world.rows().items())


BODIES = st.one_of(
    st.sampled_from(
        [
            *("", "{", "null", "5", "[]", "{}", f'"{SECRET}"', f'["{SECRET}"]', "[" * 10_000),
            *('{"stream":null}', '{"stream":5}', '{"stream":""}', '{"stream":[]}'),
            json.dumps({"stream": {SECRET: 1}}),
            json.dumps({"strean": SECRET}),
        ]
    ),
    JSON.map(json.dumps),
)


@often
@given(bodies=st.lists(BODIES, min_size=1, max_size=5), chance=st.randoms(use_true_random=False))
def test_a_malformed_message_is_reported_alone(
    shared: World, bodies: list[str], chance: Any
) -> None:
    shared.clear()
    broken = [message(number, body) for number, body in enumerate(bodies)]
    whole = [
        message(100 + number, json.dumps({"stream": stream}))
        for number, stream in enumerate(shared.right)
    ]
    batch = broken + whole
    chance.shuffle(batch)
    result = shared.invoke({"Records": batch})
    named = {failure["itemIdentifier"] for failure in result["batchItemFailures"]}
    assert named == {record["messageId"] for record in broken}
    assert shared.rows() == shared.right
    assert_nothing_leaked(shared)


@often
@given(
    lost=st.sampled_from(["messageId", "body", "attributes", "eventSource", "receiptHandle"]),
    value=st.none() | JSON,
)
def test_a_message_whose_envelope_is_broken_is_never_taken_for_done(
    shared: World, lost: str, value: Any
) -> None:
    shared.clear()
    stream = next(iter(shared.right))
    broken = message(1, json.dumps({"stream": stream}))
    if value is None:
        del broken[lost]
    else:
        broken[lost] = value
    result = shared.invoke({"Records": [broken]})
    reported = isinstance(result, dict) and result["batchItemFailures"] != []
    assert (
        reported or isinstance(result, Exception) or shared.rows()[stream] == shared.right[stream]
    )
    assert_nothing_leaked(shared)


def test_a_message_that_never_succeeds_ends_where_somebody_looks(world: World) -> None:
    queue = world.stack.functions[PROJECT].queues[0].url
    for body in ("{", '{"stream":5}', '{"strean":"x"}'):
        world.stack.client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    world.stack.drain()
    assert len(world.handed_over().splitlines()) == 3
    assert_nothing_leaked(world)


@settings(often, max_examples=5)
@given(event=JSON)
def test_the_sweep_sweeps_whatever_woke_it(shared: World, event: Any) -> None:
    shared.clear()
    shared.stack.invoke("ShortenerSweep", event)
    assert shared.rows() == shared.right
    assert_nothing_leaked(shared)


# ---- Requests ---------------------------------------------------------------------------------

ROUTES = {
    "POST /v1/links": "create.alias",
    "PATCH /v1/links/{code}": "edit.patch",
    "DELETE /v1/links/{code}": "edit.delete",
    "GET /v1/links": "read.list",
    "GET /v1/links/{code}": "read.one",
    "GET /v1/links/{code}/history": "read.history",
    "GET /{code}": "redirect.found",
    "HEAD /{code}": "redirect.head",
}
FUNCTION = {"create": "Create", "edit": "Edit", "read": "Read", "redirect": "Redirect"}


def sample(name: str) -> Json:
    """An event as API Gateway sends it."""
    event: Json = json.loads((ROOT / "events" / "shortener" / f"{name}.json").read_text())
    return event


def answer(stack: Stack, name: str, event: Any) -> Any:
    """A function's answer, or the exception that the gateway makes a 500 of its own of."""
    stack.logs.clear()
    try:
        return stack.invoke("Shortener" + FUNCTION[name.partition(".")[0]], event)
    except Exception as error:
        return error


def assert_presentable(stack: Stack, result: Any) -> None:
    """No stack trace or name of ours for the caller, nothing of the request in the line."""
    if not isinstance(result, Exception):
        assert not re.search(r"Traceback|\.py|millrace-|dynamodb", json.dumps(result))
    assert SECRET not in json.dumps(stack.logs)


# What API Gateway sends (Developer Guide, "AWS Lambda proxy integrations for HTTP APIs"): values
# are text, repeated headers and parameters joined by commas; what there is none of is left out, not
# null; a body that is not text comes in base64. Headers are never none: there is a host.
HEADER_NAMES = st.sampled_from(
    ["content-type", "if-match", "idempotency-key", "x-correlation-id", "cookie", "x-unknown"]
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["", SECRET, "*", '"1"', '"1","2"', "a,b", "application/json,text/plain"]),
    st.sampled_from(["application/json; charset=utf-8", 'W/"1"', "x" * 5000, "\x00"]),
)
CODES = st.one_of(
    st.text(min_size=1, max_size=30).filter(lambda code: "/" not in code),
    st.sampled_from(["demo123", ".", "..", "%2F", "a#b", "link#default#demo123", "x" * 1900]),
)
CLAIMS = st.fixed_dictionaries(
    {"sub": st.sampled_from([OWNER, "", "[a b]", "5", "a#b"])},
    optional={
        "custom:scopes": st.sampled_from(
            ["shortener:read shortener:write", "[shortener:read shortener:write]", "", "[]", "ops"]
        ),
        "custom:tenant": st.sampled_from(["", "default", "other", "a#b"]),
        "custom:tier": st.sampled_from(["", "free", "5"]),
        "exp": st.just("1795219252"),
    },
)
REAL = st.fixed_dictionaries(
    {},
    optional={
        "headers": st.dictionaries(HEADER_NAMES, TEXTS, max_size=4),
        "query": st.dictionaries(
            st.sampled_from(["limit", "cursor", "at", "x"]), TEXTS, min_size=1, max_size=3
        ),
        "code": CODES,
        "body": st.one_of(st.none(), TEXTS, JSON.map(json.dumps)),
        "binary": st.binary(max_size=50),
        "claims": CLAIMS,
        "extras": st.just(
            {"cookies": ["a=b"], "stageVariables": {"a": "b"}, "rawQueryString": SECRET}
        ),
    },
)


def as_sent(event: Json, varied: Json) -> Json:
    """The event with what a request may vary, in the shape that API Gateway gives it."""
    event.update(varied.get("extras", {}))
    event["headers"] = {"host": event["requestContext"]["domainName"], **varied.get("headers", {})}
    if "query" in varied:
        event["queryStringParameters"] = varied["query"]
    if "code" in varied and "pathParameters" in event:
        event["pathParameters"] = {"code": varied["code"]}
    if "body" in varied:
        event.pop("body", None)
        event |= {"body": varied["body"]} if varied["body"] is not None else {}
    if "binary" in varied:
        text = base64.b64encode(varied["binary"]).decode()
        event |= {"body": text, "isBase64Encoded": True}
    if "claims" in varied and "authorizer" in event["requestContext"]:
        event["requestContext"]["authorizer"] = {
            "jwt": {"claims": varied["claims"], "scopes": None}
        }
    return event


@pytest.mark.parametrize("name", ROUTES.values(), ids=ROUTES.keys())
@often
@given(varied=REAL)
def test_nothing_that_the_gateway_sends_is_a_fault_of_ours(
    shared: World, name: str, varied: Json
) -> None:
    result = answer(shared.stack, name, as_sent(sample(name), varied))
    assert not isinstance(result, Exception)
    assert result["statusCode"] < 500, shared.stack.logs
    assert_presentable(shared.stack, result)


@pytest.mark.parametrize("name", ["read.one", "read.history", "edit.patch", "edit.delete"])
def test_a_code_longer_than_a_key_may_be_is_not_looked_up(shared: World, name: str) -> None:
    event = sample(name)
    event["pathParameters"] = {"code": "x" * 3000}
    with shared.stack.meter.operation(name) as bill:
        result = answer(shared.stack, name, event)
    assert result["statusCode"] == 404
    # DynamoDB takes 2,048 bytes and refuses the rest, which would be our 500; moto takes all.
    assert bill.calls == []


# What it never sends, and other callers might: nulls, other types, things left out.
HOLES = [
    ("headers",), ("pathParameters",), ("queryStringParameters",), ("body",), ("isBase64Encoded",),
    ("requestContext",), ("routeKey",), ("requestContext", "requestId"),
    ("requestContext", "authorizer"), ("requestContext", "authorizer", "jwt"),
    ("requestContext", "authorizer", "jwt", "claims"), ("requestContext", "domainName"),
]  # fmt: skip


@pytest.mark.parametrize("name", ROUTES.values(), ids=ROUTES.keys())
@often
@given(path=st.sampled_from(HOLES), value=st.sampled_from([..., None, 5, "text", [], {}, ["text"]]))
def test_an_event_that_no_gateway_sends_gives_no_trace_away(
    shared: World, name: str, path: tuple[str, ...], value: Any
) -> None:
    event = {**sample(name), "rawQueryString": SECRET, "body": json.dumps({"long_url": SECRET})}
    part = event
    for step in path[:-1]:
        part = part.get(step, {})
    if value is ...:
        part.pop(path[-1], None)
    else:
        part[path[-1]] = value
    assert_presentable(shared.stack, answer(shared.stack, name, event))


# ---- The other reader -------------------------------------------------------------------------

PUBLISH = "ShortenerPublish"


@pytest.fixture(scope="module")
def telling() -> Iterator[World]:
    """A world whose records went to the publisher, and somebody who hears it."""
    with Stack([ROOT / "template.yaml"]) as stack:
        world = World(stack)
        stack.subscribe("DomainEvents", "Ear", {"capability": ["shortener"]})
        yield world


def heard(world: World) -> set[tuple[str, int]]:
    """What was told: streams and versions."""
    told = [json.loads(body) for body in world.stack.messages("Ear")]
    return {(each["stream"], each["version"]) for each in told}


@settings(often, max_examples=15)
@given(
    damages=st.lists(st.tuples(st.integers(0, 6), DAMAGES), min_size=1, max_size=3),
    chance=st.randoms(use_true_random=False),
)
def test_of_damaged_records_too_all_is_told_or_handed_over(
    telling: World, damages: list[tuple[int, Damage]], chance: Any
) -> None:
    telling.clear()
    records = damaged(telling, *damages)
    chance.shuffle(records)
    telling.stack.deliver(PUBLISH, records)
    telling.stack.drain()
    dead = "".join(telling.stack.messages("ShortenerPublishRetryDlq"))
    left = telling.handed_over() + dead
    truth = {
        (stream_of(each), int(each["dynamodb"]["NewImage"]["n"]["N"])) for each in telling.records
    }
    assert heard(telling) <= truth
    for stream, _ in truth - heard(telling):
        names = {stream, *(number for number, of in telling.numbers.items() if of == stream)}
        assert any(name in left for name in names), stream
    assert_nothing_leaked(telling)


@settings(often, max_examples=15)
@given(event=JSON | st.fixed_dictionaries({"Records": JSON | st.lists(RECORDS | JSON, max_size=4)}))
def test_what_is_no_envelope_tells_nothing(telling: World, event: Any) -> None:
    telling.clear()
    with suppress(Exception):
        telling.stack.invoke(PUBLISH, event)
    assert heard(telling) == set()
    assert_nothing_leaked(telling)
