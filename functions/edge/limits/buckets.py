"""Buckets: what was taken of an identity's limits, in one item of a table.

One conditional update takes from all limits of an identity at once, or from none. It assumes what a
container last knew of the item; where that is no longer so, the refusal brings the item along, and
what it says is either a denial or what the next update assumes. So one container alone writes once,
and a denial that is known costs nothing.

An update is sent once, by a client that does not repeat it. One whose answer is lost may have taken
what nobody was told of: somebody gets less than the limit, nobody more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from functions.edge.limits.algorithms import Algorithm, Item, Limit, Update, Verdict, algorithm

TRIES = 5
"""Updates of one check: each that fails shows a state that somebody else has meanwhile made."""
REMEMBERED = 10_000
"""Items that a container keeps in mind."""
DEADLINE_MS = 100
"""How long the table has to answer, unless a rule says so: ten times what it usually takes."""
TRUSTED = 1_000_000_000
"""Nanoseconds for which a denial is believed that was not read now: what was taken may have been
given back."""


class Busy(Exception):
    """Others keep taking from the same bucket faster than this check comes through."""


class Taking(NamedTuple):
    """What to take of one limit."""

    limit: Limit
    cost: int


class Group(NamedTuple):
    """What to take of one identity's limits. Its item may go at `gone_at`, epoch seconds, which
    must be no sooner than any limit of the identity forgets; the table is to answer within
    `deadline_ms`."""

    key: str
    takings: Sequence[Taking]
    gone_at: int
    deadline_ms: int = DEADLINE_MS


class _Known(NamedTuple):
    item: Item
    read_at: int


class _Plan(NamedTuple):
    """A group with how it is counted, and what is known of its item."""

    group: Group
    counters: Sequence[tuple[Algorithm, int]]
    known: _Known

    def verdicts(self, now: int) -> list[Verdict]:
        """What each limit decides, as far as is known."""
        item = self.known.item
        return [each.decide(each.state(item), now, cost)[0] for each, cost in self.counters]

    def taken(self, now: int) -> list[Verdict]:
        """What is said to who took it, where that is known by now."""
        item = self.known.item
        return [each.taken(each.state(item), now, cost) for each, cost in self.counters]

    def updates(self, now: int) -> list[Update]:
        """What takes it."""
        item = self.known.item
        return [each.update(each.state(item), now, cost) for each, cost in self.counters]

    def doubtful(self, now: int) -> bool:
        """Whether it is refused by what may no longer be so."""
        refused = not all(verdict.allowed for verdict in self.verdicts(now))
        return refused and not 0 <= now - self.known.read_at <= TRUSTED

    def knowing(self, item: Item, now: int) -> _Plan:
        """The plan, once its item was seen."""
        return self._replace(known=_Known(item, now))


class Buckets:
    """The buckets of one table; `client` gives a DynamoDB client by its deadline in ms."""

    def __init__(self, client: Callable[[int], Any], table: str) -> None:
        self._client = client
        self._table = table
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def take(self, groups: Sequence[Group], now: int) -> list[Verdict]:
        """Takes of all limits of all groups or of none, and says what each decides, in their order;
        `now` in nanoseconds.

        One write for one group; for several a transaction, in which each costs two. No cost may be
        above what its limit allows at once. Raises Busy, and what the client raises.
        """
        plans = [self._plan(group) for group in groups]
        for _ in range(TRIES):
            plans = [self._looked_up(plan, now) if plan.doubtful(now) else plan for plan in plans]
            verdicts = [verdict for plan in plans for verdict in plan.verdicts(now)]
            if not all(verdict.allowed for verdict in verdicts):
                self._remember(plans)
                return verdicts
            taken, plans = self._write(plans, now)
            self._remember(plans)
            if taken:
                return [verdict for plan in plans for verdict in plan.taken(now)]
        raise Busy(", ".join(group.key for group in groups))

    def _plan(self, group: Group) -> _Plan:
        counters = [(algorithm(limit), cost) for limit, cost in group.takings]
        return _Plan(group, counters, self._known.get(group.key, _Known({}, 0)))

    def _looked_up(self, plan: _Plan, now: int) -> _Plan:
        client = self._client(plan.group.deadline_ms)
        answer = client.get_item(TableName=self._table, Key=_key(plan), ConsistentRead=True)
        return plan.knowing(answer.get("Item", {}), now)

    def _write(self, plans: Sequence[_Plan], now: int) -> tuple[bool, list[_Plan]]:
        if len(plans) == 1:
            taken, plan = self._update(plans[0], now)
            return taken, [plan]
        return self._transact(plans, now)

    def _update(self, plan: _Plan, now: int) -> tuple[bool, _Plan]:
        updates, client = plan.updates(now), self._client(plan.group.deadline_ms)
        try:
            answer = client.update_item(**self._request(plan, updates), ReturnValues="UPDATED_NEW")
        except client.exceptions.ConditionalCheckFailedException as refusal:
            return False, plan.knowing(refusal.response.get("Item", {}), now)
        except client.exceptions.TransactionConflictException:
            return False, plan
        # What was not updated is as it was assumed to be: that was the condition.
        return True, plan.knowing({**plan.known.item, **answer["Attributes"]}, now)

    def _transact(self, plans: Sequence[_Plan], now: int) -> tuple[bool, list[_Plan]]:
        updates = [plan.updates(now) for plan in plans]
        client = self._client(min(plan.group.deadline_ms for plan in plans))
        members = [
            {"Update": self._request(plan, each)} for plan, each in zip(plans, updates, strict=True)
        ]
        try:
            client.transact_write_items(TransactItems=members)
        except client.exceptions.TransactionCanceledException as refusal:
            reasons = refusal.response["CancellationReasons"]
            return False, [
                plan.knowing(reason.get("Item", {}), now)
                if reason["Code"] == "ConditionalCheckFailed"
                else plan
                for plan, reason in zip(plans, reasons, strict=True)
            ]
        # No transaction says what it led to. Others may have taken more: never less.
        return True, [
            plan.knowing(_updated(plan.known.item, each), now)
            for plan, each in zip(plans, updates, strict=True)
        ]

    def _request(self, plan: _Plan, updates: Sequence[Update]) -> dict[str, Any]:
        sets = ["gone_at = :gone_at", *(each for update in updates for each in update.sets)]
        adds = [each for update in updates for each in update.adds]
        values = {name: value for update in updates for name, value in update.values.items()}
        clauses = [f"SET {', '.join(sets)}", *([f"ADD {', '.join(adds)}"] if adds else [])]
        return {
            "TableName": self._table,
            "Key": _key(plan),
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": " AND ".join(update.condition for update in updates),
            "ExpressionAttributeValues": {**values, ":gone_at": _n(plan.group.gone_at)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _remember(self, plans: Sequence[_Plan]) -> None:
        for plan in plans:
            self._known[plan.group.key] = plan.known
            self._known.move_to_end(plan.group.key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _key(plan: _Plan) -> dict[str, Any]:
    return {"pk": {"S": plan.group.key}}


def _updated(item: Item, updates: Sequence[Update]) -> Item:
    """An item as it is after updates that it allows."""
    result = dict(item)
    for update in updates:
        for assignment in update.sets:
            name, _, source = assignment.partition(" = ")
            result[name] = update.values[source] if source.startswith(":") else item[source]
        for addition in update.adds:
            name, more = addition.split()
            old = item.get(name, {"N": "0"})
            result[name] = _n(int(old["N"]) + int(update.values[more]["N"]))
    return result


def _n(number: int) -> dict[str, str]:
    return {"N": str(number)}
