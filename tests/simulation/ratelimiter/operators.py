"""Who publishes rules and has them hold, and what each answer promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.ratelimiter.rules import Rules, stream_id
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

RULES = "/v1/rules"
ATTEMPTS = 6
WINDOWS = (1, 2, 5, 20, 60)
ALGORITHMS = ("token_bucket", "leaky_bucket", "fixed_window", "sliding_window", "sliding_log")
UNKNOWN = 900
"""A version that nobody ever publishes."""
CROWD = {
    "name": "crowd",
    "endpoint": "/crowd",
    "limit": 80,
    "window": 5,
    "algorithm": "sliding_log",
}
"""So many get through that who comes with them loses again and again."""

LISTED = [{"user": "vip"}, {"user": "mallory"}, {"ip": "192.0.2.7"}, {"ip": "192.0.2.0/24"}]
"""Who may be on a list."""

Draft = dict[str, list[dict[str, Any]]]
"""What is published next: `rules`, and whom they do not concern."""


@dataclass
class Operation:
    """One thing that an operator wants; the same through all its attempts. `begun` is when it was
    asked for first; `wanted` the rules or the version that it is about."""

    id: str
    method: str
    path: str
    key: str | None
    begun: int
    wanted: Any = None
    scopes: str = "ops ratelimiter:read"
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str | None:
        """What is sent."""
        return json.dumps(self.wanted) if self.method == "PUT" else None


class Operator:
    """Edits one tenant's rules, with others who do too."""

    def __init__(
        self,
        world: World,
        rules: Rules,
        tenant: str,
        place: int,
        draft: Draft,
        steps: int,
        change: Callable[[Draft, Any], None] | None = None,
    ) -> None:
        self.name = f"operator.{place}"
        self._world = world
        self._rules = rules
        self._tenant = tenant
        self._draft = draft
        self._steps = steps
        self._change = change or edit
        self._chance = world.plan.chance(self.name)
        self._done: list[Operation] = []
        self._count = 0

    def run(self) -> None:
        """First of all there are rules; then they change."""
        self.publish()
        self.activate()
        for _ in range(self._steps):
            self._world.sleep(self._chance.choice((0, 0.5, 5, 20, 60)))
            makers = {
                self._edit: 6,
                self.activate: 4,
                self._go_back: 3,
                self._read: 2,
                self._again: 3,
                self._reuse: 1,
                self._go_astray: 1,
            }
            [maker] = self._chance.choices(list(makers), list(makers.values()))
            maker()

    # ---- What is wanted -----------------------------------------------------------------------

    def publish(self) -> None:
        """The draft as it is."""
        rules = json.loads(json.dumps(self._draft))
        self._perform(self._operation("PUT", RULES, rules))

    def activate(self) -> None:
        """The newest version."""
        if published := self._published():
            self._activate(max(published))

    def _edit(self) -> None:
        self._change(self._draft, self._chance)
        self.publish()
        if self._chance.random() < 0.7:
            self.activate()

    def _go_back(self) -> None:
        if published := self._published():
            self._activate(self._chance.choice(published))

    def _activate(self, number: int) -> None:
        self._perform(self._operation("POST", f"{RULES}/{number}/activate", number))

    def _read(self) -> None:
        published = self._published()
        number = self._chance.choice([None, UNKNOWN, *published])
        query = {} if number is None else {"version": str(number)}
        operation = self._operation("GET", RULES, number)
        operation.query = query
        self._perform(operation)

    def _again(self) -> None:
        """What was asked before, by the same key."""
        if self._done:
            before = self._chance.choice(self._done[-3:])
            if not self._is_forgotten(before):
                self._perform(before)

    def _reuse(self) -> None:
        """The key of another change, if that came about and is remembered."""
        changed = [each for each in self._done if self._rules.log.commands.get(each.id)]
        if changed and not self._is_forgotten(changed[-1]) and changed[-1].key:
            other = self._operation("PUT", RULES, {"rules": [CROWD]})
            other.key = changed[-1].key
            if changed[-1].wanted != other.wanted:
                answer = self._insist(other)
                self._expect(answer, "a key is of one command", answer is None, 422)

    def _go_astray(self) -> None:
        wrong = self._chance.choice(("version", "scope", "rules"))
        path = f"{RULES}/{UNKNOWN}/activate"
        operation = self._operation("POST", path, UNKNOWN)
        expected = 404
        if wrong == "scope":
            operation.scopes, expected = "ratelimiter:read ratelimiter:write", 403
        if wrong == "rules":
            operation = self._operation("PUT", RULES, {"rules": [CROWD, CROWD]})
            expected = 422
        answer = self._insist(operation)
        self._expect(answer, "what cannot be is refused", answer is None, expected)

    def _published(self) -> list[int]:
        state = self._state()
        return [number for number, _, _ in state.get("published", [])]

    def _state(self) -> dict[str, Any]:
        log = self._rules.log
        return log.state(stream_id(self._tenant), log.head(stream_id(self._tenant)))

    def _is_forgotten(self, operation: Operation) -> bool:
        """Whether so many came after it that a repeat would be another command."""
        own = self._rules.log.commands.get(operation.id)
        return own is not None and self._rules.log.forgotten(*own)

    # ---- How it is asked for, and what it may be answered ---------------------------------------

    def _operation(self, method: str, path: str, wanted: Any) -> Operation:
        self._count += 1
        id = f"{self.name}.{self._count}"
        key = id if method != "GET" and self._chance.random() < 0.8 else None
        return Operation(id, method, path, key, self._world.now, wanted)

    def _perform(self, operation: Operation) -> None:
        answer = self._insist(operation)
        if operation.method != "GET" and operation.key:
            self._done.append(operation)
        if answer is None:
            return
        match operation.method:
            case "PUT":
                self._check_published(operation, answer)
            case "POST":
                self._check_active(operation, answer)
            case "GET":
                self._check_read(operation, answer)

    def _insist(self, operation: Operation) -> Response | None:
        for attempt in range(ATTEMPTS):
            # Without a key each attempt is a command of its own.
            correlation = operation.id if operation.key else f"{operation.id}.{attempt}"
            key = {"idempotency-key": operation.key} if operation.key else {}
            claims = {
                "sub": "olga",
                "custom:tenant": self._tenant,
                "custom:scopes": operation.scopes,
            }
            answer = self._world.request(
                operation.method,
                operation.path,
                claims=claims,
                body=operation.body,
                headers={"x-correlation-id": correlation, **key},
                query=operation.query,
            )
            if answer is not None and answer.status < 500:
                return answer
            self._world.sleep(self._chance.random() * 2 ** (attempt + 1))
        return None

    def _check_published(self, operation: Operation, answer: Response) -> None:
        if answer.status == 409:
            return
        number = self._expect(answer, "rules can be published", False, 200).get("version", 0)
        text = self._rules.text(self._tenant, number)
        if text is None or not same(json.loads(text), operation.wanted):
            raise Violation("what is acknowledged is in the log", f"{operation}: {text}")

    def _check_active(self, operation: Operation, answer: Response) -> None:
        if answer.status == 409:
            return
        self._expect(answer, "a version that is kept can be activated", False, 200)
        if operation.wanted not in self._rules.actives(self._tenant, operation.begun):
            raise Violation("what is acknowledged held", f"{operation}: {answer.text}")
        if answer.json()["active"] != operation.wanted:
            raise Violation("who activates is told that it holds", f"{operation}: {answer.text}")

    def _check_read(self, operation: Operation, answer: Response) -> None:
        number = operation.wanted
        if number == UNKNOWN:
            self._expect(answer, "what was never published is not found", False, 404)
            return
        read = self._expect(answer, "rules can be read", False, 200)
        if number is None:
            number = read["version"]
            if number not in self._rules.actives(self._tenant, operation.begun):
                raise Violation("what is read held while it was asked for", answer.text)
        text = self._rules.text(self._tenant, number) if number is not None else "[]"
        if text is None or not same(json.loads(text), read):
            raise Violation("a version is read as it was published", f"{text}: {answer.text}")

    def _expect(
        self, answer: Response | None, invariant: str, lost: bool, *statuses: int
    ) -> dict[str, Any]:
        if lost or answer is None:
            return {}
        if answer.status not in statuses:
            raise Violation(invariant, f"{answer.status} {answer.text}")
        body: dict[str, Any] = answer.json()
        return body


def same(kept: Any, told: Mapping[str, Any]) -> bool:
    """Whether a version as it is kept is what somebody asks for or is shown."""
    kept = kept or {"rules": []}
    lists = [
        (kept.get(name, []), [[*pair] for each in told.get(name, ()) for pair in each.items()])
        for name in ("allow", "deny")
    ]
    rules = [_plain(each) for each in kept["rules"]], [_plain(each) for each in told["rules"]]
    return rules[0] == rules[1] and all(own == theirs for own, theirs in lists)


def _plain(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What is set here of a rule, whichever way it is told; others may have more to set."""
    told = {"algorithm": "token_bucket", "cost": 1, "identifiers": ["user", "ip"], **rule}
    closed = rule.get("closed", rule.get("fail") == "closed")
    # A rule without shards is told to have one.
    shards = rule.get("shards") or 1
    return {"closed": closed, "shards": shards, **{name: told.get(name) or None for name in TOLD}}


TOLD = (
    "name",
    "endpoint",
    "limit",
    "window",
    "identifiers",
    "algorithm",
    "burst",
    "cost",
    "shadow",
    "lease",
)


# ---- Rules ------------------------------------------------------------------------------------


def draft(chance: Any) -> Draft:
    """A first version: several limits of one, limits of several identities, a shadow. In some all
    is soon forgotten but who tried to log in."""
    windows = chance.choice((WINDOWS, WINDOWS[:2]))
    login = {**_rule(chance, "login", "/login", "ip"), "fail": "closed"}
    if windows != WINDOWS:
        login |= {"window": 60, "limit": 1, "algorithm": "token_bucket", "burst": 9, "cost": 1}
    rules = [
        _rule(chance, "search", "/search"),
        _rule(chance, "search-too", "/search"),
        {**_rule(chance, "watched", "/search"), "shadow": True},
        _rule(chance, "mine", "/pair", "user"),
        {**_rule(chance, "ours", "/pair", "tenant"), "fail": chance.choice(("open", "closed"))},
        CROWD,
    ]
    for rule in rules:
        if rule is not CROWD and rule["window"] not in windows:
            rule["window"] = chance.choice(windows)
    rules.append(login)
    # Two that count alike differ in their windows at least.
    while rules[1]["window"] == rules[0]["window"]:
        rules[1]["window"] = chance.choice(windows)
    if chance.random() < 0.15:
        rules.append(_rule(chance, "everything", "/**", "tenant"))
    return {"rules": rules, "allow": [{"user": "vip"}], "deny": []}


def edit(draft: Draft, chance: Any) -> None:
    """Changes one thing of one rule, or leaves it out, or changes a list."""
    if chance.random() < 0.2:
        draft[chance.choice(("allow", "deny"))] = chance.sample(LISTED, chance.choice((0, 1, 2)))
        return
    rules = draft["rules"]
    rule = chance.choice([each for each in rules if each["name"] != "crowd"] or [CROWD.copy()])
    match chance.choice(("limit", "limit", "limit", "algorithm", "window", "fail", "left out")):
        case "limit":
            rule["limit"] = chance.choice((2, 3, 4, 6))
            if rule.get("burst"):
                rule["burst"] = chance.choice((2, 5))
        case "algorithm":
            rule["algorithm"] = chance.choice(ALGORITHMS)
            rule.pop("burst", None)
        case "window" if not rule["name"].startswith("search"):
            rule["window"] = chance.choice(WINDOWS)
        case "fail":
            rule["fail"] = chance.choice(("open", "closed"))
        case "left out" if len(rules) > 3:
            longest = max(rules, key=lambda each: int(each["window"]))
            rules.remove(chance.choice((rule, longest)))


def _rule(chance: Any, name: str, endpoint: str, *identifiers: str) -> dict[str, Any]:
    algorithm = chance.choice(ALGORITHMS)
    rule = {
        "name": name,
        "endpoint": endpoint,
        "limit": chance.choice((2, 3, 4)),
        "window": chance.choice(WINDOWS),
        "algorithm": algorithm,
        "cost": chance.choice((1, 1, 2)),
    }
    if identifiers:
        rule["identifiers"] = list(identifiers)
    if algorithm.endswith("bucket") and chance.random() < 0.5:
        rule["burst"] = chance.choice((2, 5, 9))
    return rule
