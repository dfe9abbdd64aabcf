"""Buckets: what was taken of an identity's limits, in one item of a table.

One conditional update takes from all limits of an identity at once, or from none. It assumes what a
container last knew of the item; where that is no longer so, the refusal brings the item along, and
what it says is either a denial or what the next update assumes. So one container alone writes once,
and a denial that is known costs nothing.

An adjustment is not in such a hurry: it reads, and writes over exactly that. Since what was given
back can be given back again, it leaves a mark in the same transaction, which a repeat finds.

An update is sent once, by a client that does not repeat it. One whose answer is lost may have taken
what nobody was told of: somebody gets less than the limit, nobody more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from functions.edge.limits.algorithms import (
    NO_SLOT,
    SECOND,
    Algorithm,
    Item,
    Limit,
    Update,
    Verdict,
    algorithm,
    replacing,
)
from functions.kernel.backoff import Backoff
from functions.kernel.errors import CommandReused, Conflict

TRIES = 5
"""Updates of one check: each that fails shows a state that somebody else has meanwhile made."""
REMEMBERED = 10_000
"""Items that a container keeps in mind."""
DEADLINE_MS = 100
"""How long the table has to answer, unless a rule says so: ten times what it usually takes."""
TRUSTED = 1_000_000_000
"""Nanoseconds for which a denial is believed that was not read now: what was taken may have been
given back."""
UNSAID = 0
"""When the table said what is assumed: too long ago to be believed."""
SPARE_S = 60
"""Seconds that a bucket stays after all its limits have forgotten: clocks differ."""
LOWERED_S = SPARE_S // 2
"""Seconds by which an update may let a bucket go sooner than the one before: no more than clocks
differ, or a charge that is far beyond a limit would be forgotten before it is filled."""


OVERTAKEN = {"None", "ConditionalCheckFailed", "TransactionConflict"}
"""Why members of a transaction are refused where others were faster; whatever else is said is the
table's own fault."""


class Busy(Exception):
    """Others keep taking from the same bucket faster than this check comes through."""


class Taking(NamedTuple):
    """What to take of one limit; of one that counts what is in flight, by which slot. Of one that
    leases, up to `lease` more may be taken ahead, which Leases does: by a `counter` of its own."""

    limit: Limit
    cost: int
    slot: bytes = NO_SLOT
    lease: int = 0
    counter: Algorithm | None = None


class Group(NamedTuple):
    """What to take of one identity's limits. Its item may go at `gone_at`, epoch seconds, which
    must be no sooner than any limit of the identity forgets; the table is to answer within
    `deadline_ms`."""

    key: str
    takings: Sequence[Taking]
    gone_at: int
    deadline_ms: int = DEADLINE_MS


class Once(NamedTuple):
    """What an adjustment is told from others by: the key of an item that stays until `gone_at`,
    epoch seconds, and a digest of all that it says."""

    key: str
    digest: str
    gone_at: int


class _Known(NamedTuple):
    """An item, and when the table last said so, in nanoseconds: it refuses nobody for longer."""

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

    def knowing_of(self, item: Item, now: int) -> _Plan:
        """The plan, once it is known how its own limits stand in an item: of others that are in
        there nothing was seen."""
        names = {name for each, _ in self.counters for name in each.names}
        whole = item.keys() <= names | {"pk", "gone_at"}
        return self._replace(known=_Known(item, now if whole else self.known.read_at))

    def standing(self, now: int) -> list[Verdict]:
        """How each limit stands: it allows whatever remains."""
        item = self.known.item
        found = [each.decide(each.state(item), now, 0)[0] for each, _ in self.counters]
        return [verdict._replace(allowed=verdict.remaining > 0) for verdict in found]

    def adjustments(self, now: int) -> list[Update]:
        """What charges or gives back; nothing of limits that stay as they are."""
        item, found = self.known.item, []
        for each, cost in self.counters:
            state = each.state(item)
            after = each.adjusted(state, now, cost)
            if after != state:
                found.append(replacing(item, each.kept(after)))
        return found

    def knowing_after(self, updates: Sequence[Update], now: int) -> _Plan:
        """The plan, once its item was updated. Where that has added to what was known, the table
        has never said so: others may have given back meanwhile."""
        said = all(update.assigns for update in updates)
        return self.knowing_of(_updated(self.known.item, updates), now if said else UNSAID)

    def staying(self, updates: Sequence[Update], now: int) -> _Plan:
        """The plan with an item that stays until what the updates charge is forgotten."""
        standing = self.knowing_after(updates, now).standing(now)
        forgotten = (now + max(verdict.reset for verdict in standing)) // SECOND + 1
        gone_at = max(self.group.gone_at, forgotten + SPARE_S)
        return self._replace(group=self.group._replace(gone_at=gone_at))


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

    def refuses(self, group: Group, now: int) -> bool:
        """Whether it is known, without a call, that all of a group cannot be taken."""
        plan = self._plan(group)
        return not all(each.allowed for each in plan.verdicts(now)) and not plan.doubtful(now)

    def adjust(
        self, groups: Sequence[Group], once: Once, now: int, backoff: Backoff
    ) -> list[Verdict]:
        """Charges all limits of all groups their costs, however little is left, and gives back
        where these are negative; says how each stands then, in their order.

        That happens once for a key. A read for each group, and a transaction. Raises CommandReused
        where the key was another adjustment's, Conflict, and what the client raises.
        """
        plans = [self._looked_up(self._plan(group), now) for group in groups]
        for _ in backoff.tries():
            done, plans = self._adjust(plans, once, now)
            self._remember(plans)
            if done:
                return [verdict for plan in plans for verdict in plan.standing(now)]
        raise Conflict(once.key)

    def release(self, groups: Sequence[Group], now: int, backoff: Backoff) -> list[Verdict]:
        """Gives back the slots of all groups, and says how each limit stands then.

        That may happen twice, and leaves no mark. For each group a read, and a write if its slot is
        there. Raises Conflict, and what the client raises.
        """
        plans = [self._released(self._plan(group), now, backoff) for group in groups]
        self._remember(plans)
        return [verdict for plan in plans for verdict in plan.standing(now)]

    def _released(self, plan: _Plan, now: int, backoff: Backoff) -> _Plan:
        plan = self._looked_up(plan, now)
        for _ in backoff.tries():
            updates = plan.adjustments(now)
            if not updates:
                return plan
            done, plan = self._update(plan, updates, now)
            if done:
                return plan
        raise Conflict(plan.group.key)

    def _adjust(self, plans: Sequence[_Plan], once: Once, now: int) -> tuple[bool, list[_Plan]]:
        updates = [plan.adjustments(now) for plan in plans]
        requests = {
            place: self._request(plan.staying(each, now), each)
            for place, (plan, each) in enumerate(zip(plans, updates, strict=True))
            if each
        }
        members = [{"Update": each} for each in (self._mark(once), *requests.values())]
        client = self._client(0)
        try:
            client.transact_write_items(TransactItems=members)
        except client.exceptions.TransactionCanceledException as refusal:
            mark, *others = refusal.response["CancellationReasons"]
            if mark["Code"] != "ConditionalCheckFailed":
                reasons = dict(zip(requests, others, strict=True))
                return False, [
                    _told(plan, reasons[place], now) if place in reasons else plan
                    for place, plan in enumerate(plans)
                ]
            if mark["Item"]["digest"]["S"] != once.digest:
                raise CommandReused from None
            return True, [self._looked_up(plan, now) for plan in plans]
        return True, [
            plan.knowing_after(each, now) for plan, each in zip(plans, updates, strict=True)
        ]

    def _mark(self, once: Once) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Key": {"pk": {"S": once.key}},
            "UpdateExpression": "SET digest = :digest, gone_at = :gone_at",
            "ConditionExpression": "attribute_not_exists(pk)",
            "ExpressionAttributeValues": {
                ":digest": {"S": once.digest},
                ":gone_at": _n(once.gone_at),
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _plan(self, group: Group) -> _Plan:
        counters = [
            (each.counter or algorithm(each.limit, each.slot), each.cost) for each in group.takings
        ]
        return _Plan(group, counters, self._known.get(group.key, _Known({}, UNSAID)))

    def _looked_up(self, plan: _Plan, now: int) -> _Plan:
        client = self._client(plan.group.deadline_ms)
        answer = client.get_item(TableName=self._table, Key=_key(plan), ConsistentRead=True)
        return plan.knowing(answer.get("Item", {}), now)

    def _write(self, plans: Sequence[_Plan], now: int) -> tuple[bool, list[_Plan]]:
        if len(plans) == 1:
            taken, plan = self._update(plans[0], plans[0].updates(now), now)
            return taken, [plan]
        return self._transact(plans, now)

    def _update(self, plan: _Plan, updates: Sequence[Update], now: int) -> tuple[bool, _Plan]:
        client = self._client(plan.group.deadline_ms)
        try:
            answer = client.update_item(**self._request(plan, updates), ReturnValues="UPDATED_NEW")
        except client.exceptions.ConditionalCheckFailedException as refusal:
            return False, plan.knowing(refusal.response.get("Item", {}), now)
        except client.exceptions.TransactionConflictException:
            return False, plan
        # What was not updated is as it was assumed to be: that was the condition.
        return True, plan.knowing_of({**plan.known.item, **answer["Attributes"]}, now)

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
            if any(reason["Code"] not in OVERTAKEN for reason in reasons):
                raise
            return False, [
                _told(plan, reason, now) for plan, reason in zip(plans, reasons, strict=True)
            ]
        # No transaction says what it led to. Others may have taken more.
        return True, [
            plan.knowing_after(each, now) for plan, each in zip(plans, updates, strict=True)
        ]

    def _request(self, plan: _Plan, updates: Sequence[Update]) -> dict[str, Any]:
        sets = ["gone_at = :gone_at", *(each for update in updates for each in update.sets)]
        adds = [each for update in updates for each in update.adds]
        values = {name: value for update in updates for name, value in update.values.items()}
        gone_at = max(plan.group.gone_at, int(plan.known.item.get("gone_at", _n(0))["N"]))
        values |= {":gone_at": _n(gone_at), ":gone_by": _n(gone_at + LOWERED_S)}
        conditions = [
            "(attribute_not_exists(gone_at) OR gone_at <= :gone_by)",
            *(update.condition for update in updates),
        ]
        clauses = [f"SET {', '.join(sets)}", *([f"ADD {', '.join(adds)}"] if adds else [])]
        return {
            "TableName": self._table,
            "Key": _key(plan),
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": values,
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


def _told(plan: _Plan, reason: Mapping[str, Any], now: int) -> _Plan:
    """A plan, after a transaction was refused for a reason that may be its own."""
    if reason["Code"] != "ConditionalCheckFailed":
        return plan
    return plan.knowing(reason.get("Item", {}), now)


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
