"""The functions that count, on the cloud in memory: a million events in minutes, with crashes
between any two of their calls, and what those calls cost.

Handlers, wiring and time-outs are the deployed ones. A function that dies is started anew, and what
it was given is given again, as Lambda does.
"""

from __future__ import annotations

import importlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from functions.analytics.decider import DECIDER, CreateSite, GrowLanes, SetGoal, Site, stream_id
from functions.analytics.hours import Hours
from functions.edge.runtime import Handler, Runtime
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from tests.support.clock import START
from tests.support.cloud.dynamodb import Change, Item, Table
from tests.support.cloud.errors import Refused
from tests.support.cloud.metering import MeteredDynamoDB
from tests.support.cloud.s3 import S3
from tests.support.cloud.sdk import fast_client
from tests.support.cloud.sqs import SQS, Queue
from tests.support.deployment import Function, QueueSource, StreamSource, functions_of
from tests.support.handlers import ROOT
from tests.support.template import Template

SWEEP_MS = 600_000
"""Longer than a mark may stand."""
SETTLED_MS = 7_200_000
"""Longer than any hour takes to end, and be settled."""
MOST_CALLS = 5000
"""Of one run, about."""
MOST_MESSAGES = 100
"""That one run is given; a queue in memory with more is slow."""


class Crash(BaseException):
    """The function died here. Not an Exception: no handler may swallow it."""


@dataclass(frozen=True)
class LambdaContext:
    """What the functions look at of Lambda's context."""

    aws_request_id: str
    function_name: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Flood:
    """What the templates declare, as far as events go through it. `now` is epoch ms; of a
    hundred runs of a function `crashes` end at some call, before or after that takes effect, and
    so does one run of each at least."""

    def __init__(self, seed: int, crashes: float) -> None:
        self.now = START
        self.crashes = crashes
        self.chance = random.Random(seed)
        self.died: Counter[str] = Counter()
        self.dynamodb = MeteredDynamoDB(now=lambda: self.now)
        self.dynamodb.watch = self._watch
        self.sqs = SQS(now=lambda: self.now / 1000)
        self.s3 = S3()
        self.sent = self.stored = 0
        self.records: list[Item] = []
        self._ids = count(1)
        self._fuse = 0
        self._built: dict[str, Handler] = {}
        templates = list(Template(ROOT / "template.yaml", {}).family())
        self.functions = {each.name: each for one in templates for each in functions_of(one)}
        for template in templates:
            self._declare(template)
        self._facts = self.functions["AnalyticsFold"].env["FACTS_TABLE"]

    def _declare(self, template: Template) -> None:
        for name in template.names("AWS::DynamoDB::Table"):
            table = template.physical(name)
            self.dynamodb.tables[table] = Table.declared(table, template.properties(name))
        for name in template.names("AWS::S3::Bucket"):
            self.s3.buckets[template.physical(name)] = {}
        for name in template.names("AWS::SQS::Queue"):
            url = template.resolve({"Ref": name})
            arn = template.resolve({"Fn::GetAtt": [name, "Arn"]})
            self.sqs.queues[url] = Queue.declared(url, arn, template.properties(name))

    def _watch(self, change: Change) -> None:
        if change.table == self._facts and not change.old:
            self.records.append(change.new)

    # ---- Sites --------------------------------------------------------------------------------

    def site(self, create: CreateSite, *further: SetGoal | GrowLanes) -> Site:
        """A site as its stream tells it."""
        client = self._runtime(self.functions["AnalyticsFold"], crashes=False).client("dynamodb")
        table = self.functions["AnalyticsFold"].env["EVENTS_TABLE"]
        commands = Commands(DynamoStore(client, table), DECIDER)
        stream = stream_id(create.id)
        outcome = commands.create(stream, create, self._context())
        for command in further:
            outcome = commands.execute(stream, command, self._context())
        assert outcome.state is not None
        return outcome.state

    def _context(self) -> Context:
        name = str(next(self._ids))
        return Context("owner", self.now, name, name)

    # ---- Functions ----------------------------------------------------------------------------

    def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Runs a function. Raises Crash, and what the function raises."""
        function = self.functions[name]
        if name not in self._built:
            module = importlib.import_module(function.module)
            self._built[name] = module.build(self._runtime(function))
        # Each function dies once at least, however few its runs are.
        dies = self.chance.random() * 100 < self.crashes or name not in self.died
        # As often among the first few calls as among the thousands of a large run.
        self._fuse = int(MOST_CALLS ** self.chance.random()) if dies else 0
        context = LambdaContext(f"run-{next(self._ids)}", name, function.arn)
        try:
            return self._built[name](event, context)
        except Crash:
            self.died[name] += 1
            del self._built[name]
            raise

    def _runtime(self, function: Function, crashes: bool = True) -> Runtime:
        send = self._send if crashes else self._carry_out

        def client(service: str, deadline_ms: int = 0, region: str = "") -> Any:
            return fast_client(service, send, lambda seconds: None, self.chance.random)

        return Runtime(
            env=function.env,
            client=cache(client),
            now=lambda: self.now,
            entropy=self.chance.randbytes,
            sleep=lambda seconds: None,
            write=lambda line: None,
        )

    def _send(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self._fuse -= 1
        if self._fuse != 0:
            return self._carry_out(service, operation, params)
        if self.chance.random() < 0.5:
            with suppress(Refused):
                self._carry_out(service, operation, params)
        raise Crash(operation)

    def _carry_out(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        if service == "sqs":
            self.sent += 1
            return self.sqs.call(operation, params)
        if service == "s3":
            self.stored += 1
            if hasattr(body := params.get("Body", b""), "read"):
                params = {**params, "Body": body.read()}
            return self.s3.call(operation, params)
        return self.dynamodb.call(operation, params)

    # ---- What feeds them ----------------------------------------------------------------------

    def queue(self, function: str, number: int = 0) -> QueueSource:
        """The queue that feeds a function, the first of them."""
        return self.functions[function].queues[number]

    def send(self, function: str, body: Any) -> None:
        """A message to a function's queue."""
        message = {"QueueUrl": self.queue(function).url, "MessageBody": json.dumps(body)}
        self.sqs.call("SendMessage", message)

    def receive(self, function: str) -> bool:
        """One batch from a function's queue; whether there was one. One in fifty is delivered
        twice, since its deletion gets lost."""
        source = self.queue(function)
        messages: list[Mapping[str, Any]] = []
        while len(messages) < min(source.batch_size, MOST_MESSAGES):
            most = min(10, source.batch_size - len(messages))
            asked = {"QueueUrl": source.url, "MaxNumberOfMessages": most}
            if not (more := self.sqs.call("ReceiveMessage", asked).get("Messages", [])):
                break
            messages += more
        if not messages:
            return False
        with suppress(Crash):
            answer = self.invoke(function, {"Records": [_record(each) for each in messages]})
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for each in messages:
                if each["MessageId"] not in failed and self.chance.random() > 0.02:
                    handle = {"QueueUrl": source.url, "ReceiptHandle": each["ReceiptHandle"]}
                    self.sqs.call("DeleteMessage", handle)
        return True

    def drain(self, function: str) -> None:
        """All that is to be had from a function's queue now."""
        while self.receive(function):
            pass

    def fold(self, least: int = 1) -> None:
        """Delivers the records of the facts' stream, as many at a time as the template says, if
        there are so many; what fails is delivered again, by halves."""
        [source] = self.functions["AnalyticsFold"].streams
        while len(self.records) >= least and self.records:
            batch = self.records[: source.batch_size]
            del self.records[: source.batch_size]
            again = self.chance.sample(batch, len(batch) // 50)
            self._deliver(source, [*batch, *again])

    def _deliver(self, source: StreamSource, batch: list[Item]) -> None:
        records = [
            {
                "eventSource": "aws:dynamodb",
                "eventName": "INSERT",
                "dynamodb": {"Keys": {"pk": item["pk"], "sk": item["sk"]}},
            }
            for item in batch
        ]
        try:
            self.invoke("AnalyticsFold", {"Records": records})
        except Crash:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]) if middle else (batch,):
                self._deliver(source, half)

    def settle(self) -> None:
        """Lets time pass, and the sweep go round, until nothing is left to do."""
        quiet = 0
        self.now += SETTLED_MS
        while quiet < 2:
            self.now += SWEEP_MS
            self.fold()
            before = self.sent
            self._resend()
            with suppress(Crash):
                self.invoke("AnalyticsCompact", {"for": "compaction"})
            for function in ("AnalyticsIngest", "AnalyticsGather", "AnalyticsCompact"):
                self.drain(function)
            self.fold()
            self.drain("AnalyticsRoll")
            busy = self.sent > before or any(queue.messages for queue in self.sqs.queues.values())
            quiet = 0 if busy else quiet + 1

    def _resend(self) -> None:
        function = self.functions["AnalyticsRoll"]
        runtime = self._runtime(function, crashes=False)
        clients = runtime.client("dynamodb"), runtime.client("sqs")
        env = function.env
        hours = Hours(clients[0], env["ROLLUPS_TABLE"], clients[1], env["HOURS_QUEUE_URL"])
        hours.resend(self.now)

    # ---- What is there ------------------------------------------------------------------------

    def items(self, prefix: str) -> Iterator[Item]:
        """What stands in the table of rollups under keys that begin so."""
        table = self.functions["AnalyticsRoll"].env["ROLLUPS_TABLE"]
        for item in self.dynamodb.tables[table].everything():
            if item["pk"]["S"].startswith(prefix):
                yield item


def _record(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSource": "aws:sqs",
    }
