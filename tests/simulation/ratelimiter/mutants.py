"""Broken variants of the rate limiter; see tests/simulation/mutants.py."""

from __future__ import annotations

from functools import partial

from tests.simulation.mutants import Mutant as AnyMutant

Mutant = partial(AnyMutant, world="ratelimiter")

_LAZY = """        case "token_bucket":

            class Lazy(TokenBucket):
                def state(self, item: Item) -> Any:
                    if self._full not in item:
                        return None
                    return int(item["n" + self._full]["N"]), int(item[self._full]["N"])

                def decide(self, state: Any, now: int, cost: int) -> Any:
                    left, since = state or (limit.burst, now)
                    if left < cost:
                        left = min(limit.burst, left + (now - since) // self._interval)
                        since = now
                    if left < cost:
                        wait = max(1, state[1] + (cost - state[0]) * self._interval - now)
                        return Verdict(False, left, wait, wait), state
                    after = left - cost, since
                    return self.taken(after, now, cost), after

                def update(self, state: Any, now: int, cost: int) -> Update:
                    n, t = "n" + self._full, self._full
                    if state and state[0] >= cost:
                        least, less = {f":{n}least": _n(cost)}, {f":{n}less": _n(-cost)}
                        return Update(f"{n} >= :{n}least", adds=(f"{n} :{n}less",),
                                      values={**least, **less})
                    _, (left, since) = self.decide(state, now, cost)
                    values = {f":{n}": _n(left), f":{t}": _n(since)}
                    condition = f"attribute_not_exists({t})"
                    if state:
                        condition = f"{t} = :{t}old"
                        values[f":{t}old"] = _n(state[1])
                    return Update(condition, sets=(f"{n} = :{n}", f"{t} = :{t}"), values=values)

                def taken(self, state: Any, now: int, cost: int) -> Verdict:
                    return Verdict(True, max(0, state[0]), 0, 0)

            return Lazy(limit)
"""

MUTANTS = (
    Mutant(
        "bucket that is refilled when it is empty",
        "edge/limits/algorithms.py",
        '        case "token_bucket":\n            return TokenBucket(limit)\n',
        _LAZY,
        "after a time of rest it gives its burst twice: what was left, and what came since",
    ),
    Mutant(
        "update without its condition",
        "edge/limits/buckets.py",
        '" AND ".join(conditions),',
        '"attribute_exists(pk) OR attribute_not_exists(pk) OR " + " AND ".join(conditions),',
        "containers take of what others have used up",
    ),
    Mutant(
        "<= for < of a window's number",
        "edge/limits/algorithms.py",
        'f"(attribute_not_exists({number}) OR {number} < :{number})"',
        'f"(attribute_not_exists({number}) OR {number} <= :{number})"',
        "who knows nothing of a window begins it again",
    ),
    Mutant(
        "< for <= of what a window holds",
        "edge/limits/algorithms.py",
        'f"({number} = :{number} AND {taken} <= :{taken}most)"',
        'f"({number} = :{number} AND {taken} < :{taken}most)"',
        "the last of a window is never had",
    ),
    Mutant(
        ">= for > of a bucket",
        "edge/limits/algorithms.py",
        "        if wait > 0:\n",
        "        if wait >= 0:\n",
        "the last token is never had",
    ),
    Mutant(
        "ADD to a bucket that is full",
        "edge/limits/algorithms.py",
        '                sets=(f"{name} = :{name}then",),\n',
        '                adds=(f"{name} :{name}then",),\n',
        "a bucket that was full in the past is empty for ages",
    ),
    Mutant(
        "interval that goes by the burst",
        "edge/limits/algorithms.py",
        "return -(-self.window // self.amount)",
        "return -(-self.window // self.burst)",
        "a bucket fills as fast as it is deep",
    ),
    Mutant(
        "queue that holds nobody back",
        "edge/limits/algorithms.py",
        "            return TokenBucket(limit, queues=True)\n",
        "            return TokenBucket(limit)\n",
        "what leaks evenly comes at once",
    ),
    Mutant(
        "clock that is behind has a window of its own",
        "edge/limits/algorithms.py",
        "return state if state is not None and state.number >= number else Window(number, 0)",
        "return state if state is not None and state.number == number else Window(number, 0)",
        "no window takes it, and nobody knows why",
    ),
    Mutant(
        "sliding window without the older one's share",
        "edge/limits/algorithms.py",
        "        return self._amount - here.taken - older\n",
        "        return self._amount - here.taken\n",
        "it is a fixed window: twice as much where two meet",
    ),
    Mutant(
        "older window forgotten",
        "edge/limits/algorithms.py",
        'sets=(*sets, f"{before} = {taken}"),\n                values={**values, ',
        'sets=(*sets, f"{before} = :{before}"),\n                values={**values,'
        ' f":{before}": _n(0), ',
        "whoever comes second in a window does not know of the one before",
    ),
    Mutant(
        "log without its version",
        "edge/limits/algorithms.py",
        'f"{name} = :{name}old"',
        'f"({name} = :{name}old OR attribute_exists({name}))"',
        "of two that write at once one is forgotten",
    ),
    Mutant(
        "log's versions begin anew",
        "edge/limits/algorithms.py",
        "max(version + 1, now)",
        "version + 1",
        "a log that has gone and begun anew is taken for the one that was",
    ),
    Mutant(
        "log that forgets as it is read",
        "edge/limits/algorithms.py",
        "if entry[0] > now - self._window]",
        "if entry[0] > now - self._window // 2]",
        "half a window counts",
    ),
    Mutant(
        "refusal's item ignored",
        "edge/limits/buckets.py",
        'return False, plan.knowing(refusal.response.get("Item", {}), now)',
        "return False, plan",
        "who knows something old never learns better",
    ),
    Mutant(
        "taken, and not remembered",
        "edge/limits/buckets.py",
        'plan.knowing_of({**plan.known.item, **answer["Attributes"]}, now)',
        "plan",
        "what remains is what remained before",
    ),
    Mutant(
        "one limit's refusal does not keep the others",
        "edge/limits/buckets.py",
        "            if not all(verdict.allowed for verdict in verdicts):\n",
        "            if not any(verdict.allowed for verdict in verdicts):\n",
        "what one limit refuses is taken of the others",
    ),
    Mutant(
        "transaction as one update after the other",
        "edge/limits/buckets.py",
        "        return self._transact(plans, now)\n",
        "        done = [self._update(plan, plan.updates(now), now) for plan in plans]\n"
        "        return all(taken for taken, _ in done), [plan for _, plan in done]\n",
        "what the second refuses, or who dies before it, has taken of the first",
    ),
    Mutant(
        "what a transaction found right forgotten",
        "edge/limits/buckets.py",
        '    if reason["Code"] != "ConditionalCheckFailed":\n        return plan\n',
        "",
        "each try knows of one identity and not of the other",
    ),
    Mutant(
        "conflict taken for an outage",
        "edge/limits/buckets.py",
        "        except client.exceptions.TransactionConflictException:\n"
        "            return False, plan\n",
        "",
        "who meets a transaction is let through uncounted",
    ),
    Mutant(
        "several limits taken one after the other",
        "edge/limits/limiter.py",
        "self._buckets.take(groups, now * MILLI)\n",
        "[self._buckets.take([Group(each.key, [taking], gone_at)], now * MILLI)[0]"
        " for each in groups for taking in each.takings]\n",
        "what the second refuses was taken of the first",
    ),
    Mutant(
        "shadow that refuses",
        "edge/limits/limiter.py",
        "        if self.rule.shadow:\n            return True\n",
        "",
        "what is only tried out turns users away",
    ),
    Mutant(
        "shadow taken with the others",
        "edge/limits/limiter.py",
        "together = [(rule, kind) for rule, kind in live if not rule.shadow]",
        "together = list(live)",
        "what a shadow refuses nobody takes, and all are let through",
    ),
    Mutant(
        "closed fails open",
        "edge/limits/limiter.py",
        "return not self.rule.closed if self.verdict is None",
        "return True if self.verdict is None",
        "logins are tried without end while the table is down",
    ),
    Mutant(
        "open fails closed",
        "edge/limits/limiter.py",
        "return not self.rule.closed if self.verdict is None",
        "return False if self.verdict is None",
        "all is down while the table is",
    ),
    Mutant(
        "crowd let through",
        "edge/limits/limiter.py",
        "            found = [crowded for group in groups for _ in group.takings]\n",
        "            return None\n",
        "of many who come at once some are not counted",
    ),
    Mutant(
        "bucket gone too early",
        "edge/limits/limiter.py",
        "SPARE_S + max((rule.remembers for rule in rules), default=0)",
        "1",
        "what was taken is forgotten while it counts",
    ),
    Mutant(
        "tenants share their buckets",
        "edge/limits/rules.py",
        "parts = [scope, kind, ",
        "parts = [kind, ",
        "one tenant's users use up another's limits",
    ),
    Mutant(
        "edited limit begins anew",
        "edge/limits/rules.py",
        'name = f"{self.name}|{self.algorithm}|{self.window}"',
        'name = f"{self.name}|{self.algorithm}|{self.window}|{self.limit}"',
        "whoever is over a limit is let through again by every edit",
    ),
    Mutant(
        "bucket that goes on at another rate",
        "edge/limits/rules.py",
        'name += f"|{self.limit}|{burst}"',
        "pass",
        "whoever is over a limit waits the longer the higher it becomes",
    ),
    Mutant(
        "Retry-After rounded down",
        "edge/limits/headers.py",
        "return -(-nanoseconds // SECOND)",
        "return nanoseconds // SECOND",
        "who waits as long as told is denied",
    ),
    Mutant(
        "Retry-After of the limit that is free first",
        "edge/limits/headers.py",
        "seconds(max(waits))",
        "seconds(min(waits))",
        "who waits as long as told is denied by another limit",
    ),
    Mutant(
        "rules read once",
        "ratelimiter/holding.py",
        "if entry is not None and 0 <= now - entry.read_at < FRESH_MS:",
        "if entry is not None:",
        "a container goes by its first rules as long as it lives",
    ),
    Mutant(
        "no rules where they cannot be read",
        "ratelimiter/holding.py",
        "            book = entry.book\n",
        "            book = Rulebook()\n",
        "all are let through while the event table is down",
    ),
    Mutant(
        "update sent again",
        "ratelimiter/regions.py",
        'partial(runtime.client, "dynamodb")',
        'lambda deadline: runtime.client("dynamodb")',
        "whose answer is lost is counted twice",
    ),
    Mutant(
        "table that is left alone for ever",
        "edge/limits/breaker.py",
        " and 0 <= now - self._failed_at < PAUSE_MS",
        "",
        "one container counts nobody any more",
    ),
    Mutant(
        "table that is left alone at once",
        "edge/limits/breaker.py",
        "return self._failures >= FAILURES and",
        "return self._failures >= 1 and",
        "one lost answer, and for a second nobody is counted",
    ),
    Mutant(
        "list of the denied passed over",
        "ratelimiter/checking.py",
        '            case "denied":\n',
        '            case "refused":\n',
        "who is banned comes under the rules, like anybody",
    ),
    Mutant(
        "allowed before denied",
        "edge/limits/rules.py",
        "        if self.deny.has(asked.identities, asked.address):\n",
        "        if self.deny.has(asked.identities, asked.address) and not self.allow.entries:\n",
        "who is on both lists is let through",
    ),
    Mutant(
        "back to the newest",
        "ratelimiter/handlers/rules.py",
        "        if number == rules.latest:\n",
        "        if number <= rules.latest:\n",
        "who goes back gets the rules that he flees from",
    ),
    Mutant(
        "activated again where it holds",
        "ratelimiter/decider.py",
        "            if rules.active == number:\n                return []\n",
        "",
        "what changes nothing is an event",
    ),
    Mutant(
        "mark without its condition",
        "edge/limits/buckets.py",
        '            "ConditionExpression": "attribute_not_exists(pk)",\n',
        '            "ConditionExpression": "attribute_not_exists(pk) OR attribute_exists(pk)",\n',
        "who repeats what was given back gets it twice",
    ),
    Mutant(
        "mark left after all is done",
        "edge/limits/buckets.py",
        '        members = [{"Update": each} for each in (self._mark(once), *requests.values())]\n',
        '        members = [{"Update": self._mark(once)}]\n'
        "        for each in requests.values():\n"
        "            self._client(0).update_item(**each)\n",
        "what dies in between is done again, or in part",
    ),
    Mutant(
        "mark that goes too soon",
        "ratelimiter/handlers/check.py",
        "ONCE_S = 2 * 86_400",
        "ONCE_S = 20",
        "a repeat is taken for something new",
    ),
    Mutant(
        "key that knows no content",
        "edge/limits/buckets.py",
        '            if mark["Item"]["digest"]["S"] != once.digest:\n',
        '            if mark["Item"]["digest"]["S"] == "":\n',
        "another adjustment is told that it is done",
    ),
    Mutant(
        "window given back more than was taken",
        "edge/limits/algorithms.py",
        "after = here._replace(taken=max(0, here.taken + cost))",
        "after = here._replace(taken=here.taken + cost)",
        "more than the limit is there",
    ),
    Mutant(
        "log that gives back the oldest first",
        "edge/limits/algorithms.py",
        "        at, taken = left.pop()\n        if taken > back:\n"
        "            left.append((at, taken - back))\n",
        "        at, taken = left.pop(0)\n        if taken > back:\n"
        "            left.insert(0, (at, taken - back))\n",
        "what was just taken counts longer than if it was never given back",
    ),
    Mutant(
        "charge that ends at the limit",
        "edge/limits/algorithms.py",
        "        after = max(now, full + cost * self._interval)\n",
        "        after = max(now, min(now + self._depth, full + cost * self._interval))\n",
        "a charge and its reversal leave more than there was",
    ),
    Mutant(
        "debt forgotten",
        "edge/limits/buckets.py",
        "        gone_at = max(self.group.gone_at, forgotten + SPARE_S)\n",
        "        gone_at = self.group.gone_at\n",
        "who was charged far beyond a limit is let through before that is filled",
    ),
    Mutant(
        "adjusted whatever others have written",
        "edge/limits/algorithms.py",
        'conditions.append(f"{name} = :{name}was")',
        'conditions.append(f"({name} = :{name}was OR attribute_exists({name}))")',
        "what was taken meanwhile is forgotten",
    ),
    Mutant(
        "first of several limits adjusted",
        "edge/limits/adjuster.py",
        "counting = [rule for rule in rules if not rule.holds]",
        "counting = [rule for rule in rules if not rule.holds][:1]",
        "the others go on as if nothing was given back",
    ),
    Mutant(
        "given back to who was never counted",
        "ratelimiter/handlers/check.py",
        '        rules = () if book.standing(asked) == "allowed" else book.rules\n',
        "        rules = book.rules\n",
        "what others took of the same limit is given back",
    ),
    Mutant(
        "denial believed for ever",
        "edge/limits/buckets.py",
        "return refused and not 0 <= now - self.known.read_at <= TRUSTED",
        "return refused and False",
        "a container never hears of what was given back elsewhere",
    ),
    Mutant(
        "one limit's update taken for a look at the others",
        "edge/limits/buckets.py",
        "_Known(item, now if whole else self.known.read_at)",
        "_Known(item, now)",
        "a denial by one limit is believed as long as others are taken from",
    ),
    Mutant(
        "slot that is not freed",
        "edge/limits/algorithms.py",
        "        after = [entry for entry in held if entry[1] != self._slot]\n",
        "        after = list(held)\n",
        "who is done holds on until the window is over",
    ),
    Mutant(
        "slot of somebody else freed",
        "edge/limits/algorithms.py",
        "        after = [entry for entry in held if entry[1] != self._slot]\n",
        "        after = held[1:]\n",
        "who frees his slot twice frees another's, and more are in flight than may be",
    ),
    Mutant(
        "slot that never frees itself",
        "edge/limits/algorithms.py",
        "        return [entry for entry in state.entries if entry[0] > now] if state else []\n",
        "        return list(state.entries) if state else []\n",
        "who died holds for ever",
    ),
    Mutant(
        "one slot, whatever the cost",
        "edge/limits/algorithms.py",
        "        taken = [(now + self._window, self._slot)] * cost\n",
        "        taken = [(now + self._window, self._slot)]\n",
        "more are in flight than may be",
    ),
    Mutant(
        "slot not told where nobody was asked",
        "edge/limits/limiter.py",
        "taken = rule.holds and (verdict is None or verdict.allowed)",
        "taken = rule.holds and verdict is not None and verdict.allowed",
        "a slot whose answer was lost is held for its whole window",
    ),
    Mutant(
        "lease that serves after its life",
        "edge/limits/leases.py",
        "return cost <= self.unspent and 0 <= now - self.taken_at < LEASE_LIFE",
        "return cost <= self.unspent",
        "what was taken ahead is spent when all of it has refilled",
    ),
    Mutant(
        "empty pocket that denies",
        "edge/limits/leases.py",
        "        if len(paying) < len(places):\n",
        "        if len(paying) < len(places) and all(held):\n"
        "            return [Verdict(False, 0, SECOND, SECOND) for _ in places]\n"
        "        if len(paying) < len(places):\n",
        "who is below the limit is refused",
    ),
    Mutant(
        "return of what has refilled",
        "edge/limits/leases.py",
        "return max(0, min(self.unspent, self.tokens - -(-passed // self.interval)))",
        "return self.unspent",
        "what refilled by itself is given back again",
    ),
    Mutant(
        "lease kept though no answer came",
        "edge/limits/leases.py",
        "            self._held.pop(place, None)\n",
        "            self._held.get(place, None)\n",
        "what was given back is spent, or given back again",
    ),
    Mutant(
        "lease given back and kept",
        "edge/limits/leases.py",
        "        unspent=ahead,\n",
        "        unspent=ahead + (old.unspent if old else 0),\n",
        "what was given back is spent all the same",
    ),
    Mutant(
        "lease that pays one, whatever the cost",
        "edge/limits/leases.py",
        "unspent=self.unspent - cost, full=full",
        "unspent=self.unspent - 1, full=full",
        "more is spent than was taken",
    ),
    Mutant(
        "lease that nobody pays for",
        "edge/limits/leases.py",
        "return super().update(state, now, cost + self.ahead - back)",
        "return super().update(state, now, cost - back)",
        "each container allows as much as it likes",
    ),
    Mutant(
        "shares that are more than the limit",
        "edge/limits/rules.py",
        "            every // self.shards + (shard < every % self.shards)\n",
        "            -(-every // self.shards)\n",
        "all shards together allow more than the rule",
    ),
    Mutant(
        "all of the limit in each shard",
        "edge/limits/limiter.py",
        "limit = rule.counted if shard is None else rule.share(shard)",
        "limit = rule.counted",
        "the limit is as many times itself as there are shards",
    ),
    Mutant(
        "one shard's refusal is the limit's",
        "edge/limits/limiter.py",
        "            if len(others) == len(refusing):\n",
        "            if len(others) > len(refusing):\n",
        "who is below the limit is refused more often than need be",
    ),
    Mutant(
        "wait for one shard",
        "edge/limits/limiter.py",
        "        if verdict is None or verdict.allowed or not rule.shards:\n",
        "        if verdict is None or rule.shards >= 0:\n",
        "who waits as long as told asks a shard that has nothing yet",
    ),
    Mutant(
        "adjusted and not remembered",
        "edge/limits/buckets.py",
        "            self._remember(plans)\n            if done:\n",
        "            if done:\n",
        "who gives back is refused by the same container all the same",
    ),
    Mutant(
        "sample whose mark may stand already",
        "ratelimiter/tallies.py",
        'self._put(mark, "attribute_not_exists(pk)")',
        'self._put(mark, "attribute_not_exists(never)")',
        "who was denied counts again with every redelivery",
    ),
    Mutant(
        "row written over what another made of it",
        "ratelimiter/tallies.py",
        '"attribute_not_exists(pk) OR seen = :before"',
        '"attribute_not_exists(pk) OR seen >= :before"',
        "of two samples at once one is forgotten",
    ),
    Mutant(
        "who was faster believed to have counted it",
        "ratelimiter/tallies.py",
        'return bool(marked["Code"] == "ConditionalCheckFailed")',
        "return True",
        "a sample that lost a race is in no row",
    ),
    Mutant(
        "identity of another spelling",
        "ratelimiter/sampling.py",
        "text = _clean(same(identity))",
        "text = _clean(identity)",
        "one row has two names, and others are told of two",
    ),
    Mutant(
        "what a transaction added to believed",
        "edge/limits/buckets.py",
        "now if said else UNSAID",
        "now",
        "who was given something back elsewhere is refused by what never was",
    ),
)
