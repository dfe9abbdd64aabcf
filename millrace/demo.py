"""The life of one link, told in a terminal: real handlers in process, and the bill of each step.

It stands on the tests' stack on moto (tests/support), so it runs from a checkout only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from millrace.errors import BenchError
from millrace.terminal import console, table

if TYPE_CHECKING:
    from tests.support.http_api import Response
    from tests.support.meter import Bill
    from tests.support.pump import Stack

OWNER = "ada"
ALIAS = "spring"
LINK = f"/v1/links/{ALIAS}"
STREAM = f"link#default#{ALIAS}"
NOBODY = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Whoever looks on may have an account; the story never reaches it."""
ATTRIBUTES = {
    "pk": "stream, or view and stream",
    "sk": "events before",
    "n": "events after",
    "id": "of this commit",
    "e": "events",
    "m": "who, when",
    "r": "recent commands",
    "v": "version shown",
    "d": "what the list shows",
    "list": "whose list",
    "position": "place in it",
}
"""What an item's attributes are, in the order in which they are shown."""
CODES = {"ok": "green", "ConditionalCheckFailedException": "yellow", "ReadTimeoutError": "red"}


def tell(plain: bool = False) -> None:
    """Tells the story. Raises BenchError where there is no checkout."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, settings | NOBODY, clear=True):
        try:
            from infra.local.emulator import ROOT
            from tests.support.pump import Stack
        except ImportError as error:
            raise BenchError(f"the demo needs a checkout with its dev tools: {error}") from error
        with Stack([ROOT / "template.yaml"]) as stack:
            Story(stack, console(plain=plain)).tell()


class Story:
    """One telling, on a stack of its own."""

    def __init__(self, stack: Stack, out: Console) -> None:
        self._stack = stack
        self._out = out
        self._bills: list[Bill] = []

    def tell(self) -> None:
        """From the first command to the closing bill."""
        self._warm_up()
        self._opening()
        self._command()
        self._commit()
        self._view()
        self._redirect()
        self._repeat()
        self._lost_answer()
        self._race()
        self._past()
        self._lost_record()
        self._closing()

    # ---- The chapters -------------------------------------------------------------------------

    def _opening(self) -> None:
        words = Text.assemble(
            ("The life of one link\n", "bold"),
            "The handlers that Lambda runs, in this process; DynamoDB, its stream, SQS and Secrets "
            "Manager are moto's.\nAfter each step its bill: what was called, in AWS's units, and "
            "what a million such steps cost in us-east-1.",
        )
        self._out.print(Panel(words, border_style="cyan", padding=(1, 2)))

    def _command(self) -> None:
        self._chapter("A command", "Ada asks for a short link. One conditional write, no read.")
        with self._billed("create") as bill:
            answer = self._create()
        self._http("POST /v1/links", answer)
        self._charge(bill)

    def _commit(self) -> None:
        self._chapter(
            "The commit, as stored",
            "One immutable item: events, who and when. The first commit is its own snapshot; `r` "
            "remembers the command, so that a repeat finds its answer.",
        )
        self._item(self._items("EVENTS_TABLE", STREAM)[0])

    def _view(self) -> None:
        self._chapter(
            "The stream record, and the row of the list",
            "The record is a doorbell: it says that a stream moved. The row is a function of the "
            "state, written only over an older one, so records may come twice, late or never.",
        )
        records = self._stack.stream_records()
        keys = json.dumps(records[0]["dynamodb"]["Keys"])
        self._say(f"record  {records[0]['eventName']} {keys}\n")
        with self._billed("project") as bill:
            self._stack.deliver("ShortenerProject", records)
        self._item(self._items("VIEWS_TABLE", f"links@1#{STREAM}")[0])
        self._charge(bill)
        with self._billed("list") as bill:
            answer = self._ask("GET", "/v1/links")
        self._listing(answer)
        self._charge(bill)

    def _redirect(self) -> None:
        self._chapter("Followed", "The hot path reads the newest commit, nothing else.")
        with self._billed("redirect") as bill:
            answer = self._stack.request("GET", f"/{ALIAS}")
        self._say(f"GET /{ALIAS} → [bold]{answer.status}[/bold] {answer.headers['location']}")
        self._charge(bill)

    def _repeat(self) -> None:
        self._chapter(
            "A repeated command",
            "Ada's phone lost its signal and sends the same request with the same Idempotency-Key.",
        )
        with self._billed("create, repeated") as bill:
            again = self._create()
        self._http("POST /v1/links, again", again)
        self._say(f"The same answer, and still {self._commits()} commit on the stream.")
        self._charge(bill)

    def _lost_answer(self) -> None:
        self._chapter(
            "A lost answer",
            "The write takes effect, DynamoDB's answer never arrives, the SDK sends it again and "
            "meets its own commit. The commit's id tells it from a stranger's.",
        )
        self._stack.faults.lose_response("dynamodb", "PutItem")
        with self._billed("edit, answer lost") as bill:
            answer = self._edit(1, long_url="https://example.com/spring-sale")
        self._http("PATCH " + LINK, answer)
        self._say(f"Version 2, made once: {self._commits()} commits, no error.")
        self._charge(bill)

    def _race(self) -> None:
        from tests.support.interleave import replay

        self._chapter(
            "A race that loses",
            "Ada and Bob want the same name in the same millisecond. DynamoDB's condition decides, "
            "without a lock and without a read.",
        )
        names = ("ada", "bob")
        # Once in five seconds a container looks at who is banned: no part of this story.
        early = {name: self._racer(name, f"{name}s-own") for name in names}
        replay(lambda: early, ["bob"] * 3 + ["ada"] * 3)
        racers = {name: self._racer(name, "prize") for name in names}
        with self._billed("race of two creators") as bill:
            run = replay(lambda: racers, ["bob", "ada"])
        turns = [
            (actor, call.operation, _outcome(call.outcome))
            for actor, call in zip(run.schedule, bill.calls, strict=True)
        ]
        self._out.print(table("turn of", "call", "outcome", rows=turns))
        answers: Mapping[str, Any] = run.results()
        for name, answer in answers.items():
            problem = answer.json().get("detail", "") if answer.status >= 400 else "the name is his"
            self._say(f"{name} → [bold]{answer.status}[/bold] {problem}")
        self._charge(bill)

    def _past(self) -> None:
        self._chapter("A look into the past", "Nothing was overwritten: each version can be read.")
        with self._billed("read at=1") as bill:
            then = self._ask("GET", LINK, query={"at": "1"})
        now = self._ask("GET", LINK)
        rows = [(f"at={a.json()['version']}", a.json()["long_url"]) for a in (then, now)]
        self._out.print(table(f"GET {LINK}", "long_url", rows=rows))
        self._charge(bill)
        with self._billed("history") as bill:
            history = self._ask("GET", LINK + "/history").json()["items"]
        events = [(item["version"], item["type"], item["at"], item["actor"]) for item in history]
        self._out.print(table("version", "event", "at", "actor", rows=events))
        self._charge(bill)

    def _lost_record(self) -> None:
        self._chapter(
            "A lost record, and the sweep that heals",
            "An edit whose stream record is thrown away: the list goes on showing the old link, "
            "and nothing will ever ring for it again. The daily sweep compares heads with rows.",
        )
        self._stack.drain()
        self._edit(2, long_url="https://example.com/summer")
        lost = self._stack.stream_records()
        self._say(f"{len(lost)} record thrown away.")
        self._listing(self._ask("GET", "/v1/links"), "before")
        with self._billed("sweep") as bill:
            self._stack.tick("ShortenerSweep")
        line = self._stack.logs[-1]
        self._say(
            f"The sweep looked at {line['checked']} streams and rang {line['swept_streams']}."
        )
        self._listing(self._ask("GET", "/v1/links"), "after")
        self._charge(bill)

    def _closing(self) -> None:
        self._out.print(Rule("[bold]The bill[/bold]", style="cyan"))
        rows = [
            (bill.name, len(bill.calls), f"{bill.rcu:g}", f"{bill.wcu:g}", _dollars(bill))
            for bill in self._bills
        ]
        total = (
            "all of it, once",
            sum(len(bill.calls) for bill in self._bills),
            f"{sum(bill.rcu for bill in self._bills):g}",
            f"{sum(bill.wcu for bill in self._bills):g}",
            f"{sum(bill.dollars_per_million() for bill in self._bills):.2f}",
        )
        numbers = ("calls", "RCU", "WCU", "$ per million")
        shown = table("step", *numbers, rows=rows, right=numbers)
        shown.add_section()
        shown.add_row(*map(str, total), style="bold")
        self._out.print(shown)
        note = "Gateway, Lambda (20 ms of 512 MB) and DynamoDB; docs/costs.md has every operation."
        self._out.print(Text(note, style="dim"))

    # ---- What is done -------------------------------------------------------------------------

    def _warm_up(self) -> None:
        """Lets every function read its secret and its pointers: the bills are of warm ones."""
        self._ask("POST", "/v1/links", user="warm", json={"long_url": "https://example.com/warm"})
        self._ask("GET", "/v1/links", user="warm")
        self._stack.drain()

    def _create(self) -> Response:
        body = {"long_url": "https://example.com/spring", "alias": ALIAS}
        headers = {"idempotency-key": "ada-1"}
        return self._ask("POST", "/v1/links", json=body, headers=headers)

    def _edit(self, version: int, **body: Any) -> Response:
        self._stack.advance(60)
        return self._ask("PATCH", LINK, json=body, headers={"if-match": f'"{version}"'})

    def _racer(self, user: str, alias: str) -> Any:
        body = {"long_url": f"https://example.com/{user}", "alias": alias}
        return lambda: self._ask("POST", "/v1/links", user=user, json=body)

    def _ask(self, method: str, path: str, *, user: str = OWNER, **rest: Any) -> Response:
        return self._stack.request(method, path, user=user, **rest)

    def _items(self, table_variable: str, key: str) -> Sequence[Mapping[str, Any]]:
        name = self._stack.functions["ShortenerProject"].env[table_variable]
        items: Sequence[Mapping[str, Any]] = self._stack.client("dynamodb").query(
            TableName=name,
            KeyConditionExpression="pk = :key",
            ExpressionAttributeValues={":key": {"S": key}},
        )["Items"]
        return items

    def _commits(self) -> int:
        return len(self._items("EVENTS_TABLE", STREAM))

    # ---- How it is shown ----------------------------------------------------------------------

    def _chapter(self, title: str, words: str) -> None:
        self._out.print()
        self._out.print(Rule(f"[bold]{title}[/bold]", style="cyan", align="left"))
        self._out.print(Text(words, style="italic"))
        self._out.print()

    @contextmanager
    def _billed(self, name: str) -> Iterator[Bill]:
        with self._stack.meter.operation(name) as bill:
            yield bill
        self._bills.append(bill)

    def _charge(self, bill: Bill) -> None:
        calls: list[RenderableType] = [
            Text.assemble(f"{call.function:<18} {call.name:<22} ", _outcome(call.outcome))
            for call in bill.calls
        ]
        figures = f"{bill.rcu:g} RCU  {bill.wcu:g} WCU  ${_dollars(bill)} per million"
        shown = Group(*calls, Text(figures, style="bold"))
        self._out.print(Panel(shown, title=f"bill: {bill.name}", title_align="left", style="dim"))

    def _say(self, markup: str) -> None:
        self._out.print(markup)

    def _http(self, request: str, answer: Response) -> None:
        etag = answer.headers.get("etag", "")
        self._say(f"{request} → [bold]{answer.status}[/bold]  etag {etag}")
        rows = [(name, answer.json()[name]) for name in ("short_url", "long_url", "version")]
        self._out.print(table("", "", rows=rows))

    def _listing(self, answer: Response, when: str = "") -> None:
        rows = [(i["code"], i["version"], i["long_url"]) for i in answer.json()["items"]]
        self._out.print(table(f"GET /v1/links {when}".strip(), "version", "long_url", rows=rows))

    def _item(self, item: Mapping[str, Any]) -> None:
        rows = [
            (Text(name, style="cyan"), _value(*item[name].items()), Text(words, style="dim"))
            for name, words in ATTRIBUTES.items()
            if name in item
        ]
        self._out.print(table("", "", "", rows=rows))


def _value(typed: tuple[str, Any]) -> str:
    kind, value = typed
    return value.hex() if kind == "B" else str(value)


def _outcome(outcome: str) -> Text:
    return Text(outcome, style=CODES.get(outcome, "red"))


def _dollars(bill: Bill) -> str:
    return f"{bill.dollars_per_million():.2f}"
