"""The shortener in the simulation: what its clients do, and what each answer promises.

Every answer is held to the log at once: a write to the commit that it names, a read to the states
that the link went through while it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple

from tests.simulation.invariants import Log, Logged, State
from tests.simulation.shortener.accepted import Promises
from tests.simulation.shortener.links import (
    HOST,
    PASSWORD,
    TERMS,
    contradicts,
    guarded,
    hosts,
    millis,
    same_url,
    shown,
    stream_id,
    text,
)
from tests.simulation.shortener.links import holds as field_holds
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

LINKS = "/v1/links"
MODERATION = (
    ("PUT", f"{LINKS}/unknown/standing"),
    ("POST", "/v1/bans"),
    ("DELETE", "/v1/bans?kind=owner&value=nobody"),
)
ALIASES = ("sale", "Sale", "news", "a.b")
PATHS = ("", "/one", "/two?q=1")
BAD_HOST = "bad.example"
ATTEMPTS = 5
LOSSES = 5
"""Races that an edit loses before it gives up."""
OTHER_TENANT = "acme"


@dataclass
class Operation:
    """One thing that a client wants; the same through all its attempts.

    `asked` is when its newest attempt began. `repeats` is the operation that this one is again.
    """

    id: str
    kind: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    code: str = ""
    begun: int = 0
    asked: int = 0
    correlation: str = ""
    attempt: int = 0
    answer: Response | None = None
    repeats: Operation | None = None
    reuses: Operation | None = None

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key")

    @property
    def if_match(self) -> int | None:
        tag = self.headers.get("if-match", "*")
        return None if tag == "*" else int(tag.strip('"'))


EDITS = 40
"""Of who leads one link elsewhere again and again."""


class Client:
    """A user of the API: does things at random, and checks every answer."""

    def __init__(
        self,
        world: World,
        log: Log,
        promises: Promises,
        shared: Shared,
        user: str,
        tenant: str,
        device: int,
        operations: int,
        *,
        steady: bool = False,
    ) -> None:
        self.name = f"{user}.{tenant}.{device}"
        self._world = world
        self._log = log
        self._promises = promises
        self._shared = shared
        self._user = user
        self._tenant = tenant
        self._operations = operations
        self._steady = steady
        self._chance = world.plan.chance(f"client/{self.name}")
        self._done: list[Operation] = []
        self._tickets: list[Ticket] = []
        self._known = shared.known.setdefault((user, tenant), {})
        self._given: list[str] = []
        self._count = 0

    def run(self) -> None:
        """The client's whole life."""
        for _ in range(self._operations):
            makers = {self._lead: 1} if self._steady else self._makers()
            [maker] = self._chance.choices(list(makers), list(makers.values()))
            if (operation := maker()) is not None:
                self._perform(operation)
            self._world.sleep(self._chance.choice(self._pauses()))

    def _makers(self) -> dict[Callable[[], Operation | None], int]:
        return {
            self._create: 8,
            self._bulk: 8 if self._world.focus[0] == "ShortenerBulk" else 1,
            self._patch: 25 if self._shared.hot else 10,
            self._transfer: 1,
            self._delete: 1 if self._shared.hot else 2,
            self._redirect: 5,
            self._read: 3,
            self._read_past: 2,
            self._history: 2,
            self._list: 3,
            self._again: 3,
            self._reuse: 1,
            self._malformed: 1,
            self._pending: 15 if self._world.focus[0] == "ShortenerPending" else 3,
        }

    def _pauses(self) -> tuple[float, ...]:
        if self._steady:
            # About as often as a container asks again, so that a read may go back.
            return (1, 2, 3)
        return (0,) * 6 + (2,) if self._shared.hot else (0, 0, 0.05, 1, 10)

    def shorten(self) -> None:
        """One link after another, until every container must know the last ban."""
        for number in count():
            body = {"long_url": f"https://{BAD_HOST}/{self.name}/{number}", "dedupe": False}
            operation = self._operation("create", "POST", LINKS, body=body)
            self._perform(operation)
            ban = self._shared.last_ban
            if ban is not None and ban.known_at < operation.asked:
                made = operation.answer is not None and operation.answer.status == 201
                bound = not made or not ban.over(self._user, BAD_HOST)
                self._expect("a ban binds all who shorten", operation, bound)
                return
            self._world.sleep(self._chance.choice((0.5, 1)))

    def settled(self) -> None:
        """When all is quiet: promises are kept, the list is the fold of the log, page by page."""
        for ticket in self._tickets:
            self._redeem(ticket, settled=True)
        expected = [
            shown(commits[-1].state, commits[-1].after)
            for stream, commits in self._log.streams.items()
            if stream.startswith("link#")
            and self._mine(stream, commits[-1].state)
            and not commits[-1].state["deleted"]
        ]
        expected.sort(key=lambda link: (link["created_at"], link["code"]), reverse=True)
        for limit in ("2", "100"):
            query = {"limit": limit}
            operation = self._operation("list", "GET", LINKS, query=query)
            operation.answer = self._ask(operation, 0)
            listed = self._pages(operation, operation.answer) if operation.answer else None
            self._expect("a list is the fold of its links", operation, listed == expected)

    # ---- What it does -------------------------------------------------------------------------

    def _create(self) -> Operation:
        if self._given and self._chance.random() < 0.5:
            # Who gave a link away wants one of his own.
            return self._operation("create", "POST", LINKS, body={"long_url": self._given.pop()})
        body: dict[str, Any] = {"long_url": self._url(), **self._terms()}
        way = self._chance.choice(("alias", "dedupe", "dedupe", "fresh"))
        if way == "alias":
            body["alias"] = self._chance.choice(ALIASES)
        if way == "fresh":
            body["dedupe"] = False
        if self._chance.random() < 0.3:
            body["redirect_status"] = self._chance.choice((301, 302, 307, 308))
        if self._chance.random() < 0.3:
            body["expires_at"] = self._expiry()
        return self._operation("create", "POST", LINKS, body=body, code=body.get("alias", ""))

    def _terms(self) -> dict[str, Any]:
        """Some terms, mostly none."""
        chance = self._chance
        ios = {"device": ["ios"], "to": [{"url": "https://example.com/ios", "weight": 1}]}
        begin = chance.choice((-1_000, 50, 2_000, 10_000))
        some = {
            "max_clicks": chance.choice((1, 2, 3)),
            "password": PASSWORD,
            "not_before": text(self._world.now + begin),
            "fallback_url": "https://example.com/late",
            "rules": [ios],
            "tags": ["one", "two"],
            "title": "A title",
            "counted": False,
        }
        rare = {"password": 0.06, "counted": 0.04, "max_clicks": 0.2}
        return {
            name: value for name, value in some.items() if chance.random() < rare.get(name, 0.08)
        }

    def _bulk(self) -> Operation:
        def item(number: int) -> dict[str, Any]:
            # No URL twice in a request, so that each link tells which item it is of.
            url = f"https://example.com/{self.name}/{self._count}/{number}"
            some: dict[str, Any] = {"dedupe": False} if self._chance.random() < 0.3 else {}
            if self._chance.random() < 0.2:
                some["alias"] = self._chance.choice(ALIASES)
            if self._chance.random() < 0.1:
                some["redirect_status"] = 200
            return {"long_url": url, **self._terms(), **some}

        items = [item(number) for number in range(self._chance.choice((1, 2, 4)))]
        operation = self._operation("bulk", "POST", f"{LINKS}/bulk", body={"links": items})
        operation.id = f"bulk.{operation.id}"
        return operation

    def _transfer(self) -> Operation | None:
        """To anybody; who has it then is to see it, and who had it is not."""
        owner = self._chance.choice(("alice", "bob"))
        code = self._code()
        return self._edit("transfer", "POST", code, {"owner": owner}, "/transfer")

    def _patch(self) -> Operation:
        code = self._code()
        changes: dict[str, Any] = {
            "long_url": self._url(),
            "disabled": self._chance.choice((True, False, None)),
            "redirect_status": self._chance.choice((301, 302, 307, None)),
            "expires_at": self._expiry(),
            **self._terms(),
        }
        if self._chance.random() < 0.2:
            changes[self._chance.choice((*TERMS, "counted"))] = None
        if self._shared.hot:
            # Each edit really is one, so that the link's memory fills.
            changes["long_url"] += f"/{self.name}/{self._count}"
        names = self._chance.sample(list(changes), self._chance.choice((1, 1, 2, 3)))
        if self._shared.hot and "long_url" not in names:
            names.append("long_url")
        body = {name: changes[name] for name in names}
        return self._edit("patch", "PATCH", code, body)

    def _lead(self) -> Operation:
        """Where the link of all leads now, to anybody."""
        code = self._shared.led = next(iter(self._known), ALIASES[0])
        body = {"long_url": f"{self._url()}/{self.name}/{self._count}", "disabled": False}
        path, anyhow = f"{LINKS}/{code}", {"if-match": "*"}
        return self._operation("patch", "PATCH", path, body=body, code=code, headers=anyhow)

    def _delete(self) -> Operation:
        return self._edit("delete", "DELETE", self._code(), None)

    def _edit(
        self, kind: str, method: str, code: str, body: dict[str, Any] | None, after: str = ""
    ) -> Operation:
        version = self._known.get(code, 1)
        tags = ("*", "*", f'"{version}"', f'"{version}"', '"1"')
        tag = self._chance.choice(tags[:3] if self._shared.hot else tags)
        headers = {"if-match": tag}
        return self._operation(
            kind, method, f"{LINKS}/{code}{after}", body=body, code=code, headers=headers
        )

    def _redirect(self) -> Operation:
        code = self._chance.choice((self._code(), "unknown", "no_code_"))
        method = self._chance.choice(("GET", "GET", "HEAD"))
        return self._operation("redirect", method, f"/{code}", code=code)

    def _read(self) -> Operation:
        code = self._code()
        return self._operation("read", "GET", f"{LINKS}/{code}", code=code)

    def _read_past(self) -> Operation:
        code = self._code()
        version = str(self._chance.randint(0, 5))
        moment = text(self._world.now - int(self._chance.random() ** 3 * 30_000))
        query = {"at": self._chance.choice((version, moment))}
        return self._operation("read past", "GET", f"{LINKS}/{code}", code=code, query=query)

    def _history(self) -> Operation:
        code = self._code()
        query = {"limit": str(self._chance.choice((1, 2, 20)))}
        return self._operation("history", "GET", f"{LINKS}/{code}/history", code=code, query=query)

    def _list(self) -> Operation:
        query = {"limit": str(self._chance.choice((1, 2, 20)))}
        return self._operation("list", "GET", LINKS, query=query)

    def _again(self) -> Operation | None:
        """An earlier command with a key, long after."""
        reused = {each.key for each in self._done if each.reuses}
        former = [
            each
            for each in self._done
            if each.key and each.key not in reused and not each.repeats and not each.reuses
        ]
        if not former:
            return None
        # Where much happens to one link, the first commands are those that it has forgotten.
        first = self._chance.choice(former[:3] if self._shared.hot else former)
        return replace(first, repeats=first, answer=None, attempt=0, begun=self._world.now)

    def _reuse(self) -> Operation | None:
        """A key that was used before, for something else."""
        former = [
            each
            for each in self._done
            if each.key and (each.kind == "patch" or "alias" in (each.body or {}))
        ]
        if not former:
            return None
        first = self._chance.choice(former)
        # What nobody asked for before, or it would be a repeat of another reuse.
        other = f"{self._url()}/other/{len(self._done)}"
        body = {**(first.body or {}), "redirect_status": 308, "long_url": other}
        kind, method = first.kind, first.method
        payload: dict[str, Any] | None = body
        deleted = any((each.kind, each.key) == ("delete", first.key) for each in self._done)
        if first.kind == "patch" and self._chance.random() < 0.3 and not deleted:
            kind, method, payload = "delete", "DELETE", None
        again = self._operation(kind, method, first.path, body=payload, code=first.code)
        again.headers = dict(first.headers)
        again.reuses = first.reuses or first
        return again

    def _pending(self) -> Operation | None:
        """Asks what became of a create that was accepted: its own or, in vain, another's."""
        everybody = [ticket for ticket in self._shared.tickets if ticket not in self._tickets]
        if everybody and self._chance.random() < 0.3:
            ticket = self._chance.choice(everybody)
            if ticket.caller != (self._user, self._tenant):
                self._snoop(ticket)
        elif self._tickets:
            self._redeem(self._chance.choice(self._tickets))
        return None

    def _malformed(self) -> Operation:
        code = self._code()
        edit = f"{LINKS}/{code}"
        bulk, give, owner = f"{LINKS}/bulk", f"{edit}/transfer", {"owner": "alice"}
        some = {"long_url": "https://example.com/"}
        free = {"if-match": "*"}
        choices: list[tuple[int, str, str, Any, dict[str, str]]] = [
            (422, "POST", LINKS, {"long_url": "ftp://example.com/"}, {}),
            (422, "POST", LINKS, {**some, "unknown": 1}, {}),
            (400, "POST", LINKS, "{", {}),
            (400, "POST", LINKS, some, {"idempotency-key": "not visible"}),
            (413, "POST", LINKS, " " * 70_000, {}),
            (415, "POST", LINKS, some, {"content-type": "text/plain"}),
            (403, "POST", LINKS, some, {"x-scopes": "none"}),
            (401, "POST", LINKS, some, {"x-scopes": "no token"}),
            (428, "PATCH", edit, some, {}),
            (400, "PATCH", edit, "{", free),
            (422, "PATCH", edit, {"long_url": None}, free),
            (413, "PATCH", edit, " " * 70_000, free),
            (415, "PATCH", edit, some, {**free, "content-type": "text/plain"}),
            (403, "PATCH", edit, some, {**free, "x-scopes": "none"}),
            (401, "PATCH", edit, some, {**free, "x-scopes": "no token"}),
            (428, "DELETE", edit, None, {}),
            (400, "DELETE", edit, None, {**free, "idempotency-key": "not visible"}),
            (403, "DELETE", edit, None, {**free, "x-scopes": "none"}),
            (401, "DELETE", edit, None, {**free, "x-scopes": "no token"}),
            (400, "GET", f"{LINKS}?cursor=root.forged", None, {}),
            (422, "GET", f"{LINKS}?limit=0", None, {}),
            (422, "GET", f"{edit}?at=never", None, {}),
            (403, "GET", LINKS, None, {"x-scopes": "none"}),
            (401, "GET", LINKS, None, {"x-scopes": "no token"}),
            (403, "GET", edit, None, {"x-scopes": "none"}),
            (401, "GET", edit, None, {"x-scopes": "no token"}),
            (400, "GET", f"{edit}/history?cursor=root.forged", None, {}),
            (422, "GET", f"{edit}/history?limit=0", None, {}),
            (422, "POST", bulk, {"links": []}, {}),
            (400, "POST", bulk, "{", {}),
            (413, "POST", bulk, " " * 1_100_000, {}),
            (415, "POST", bulk, {"links": [some]}, {"content-type": "text/plain"}),
            (403, "POST", bulk, {"links": [some]}, {"x-scopes": "none"}),
            (401, "POST", bulk, {"links": [some]}, {"x-scopes": "no token"}),
            (428, "POST", give, owner, {}),
            (400, "POST", give, "{", free),
            (422, "POST", give, {"owner": ""}, free),
            (413, "POST", give, " " * 70_000, free),
            (415, "POST", give, owner, {**free, "content-type": "text/plain"}),
            (403, "POST", give, owner, {**free, "x-scopes": "none"}),
            (401, "POST", give, owner, {**free, "x-scopes": "no token"}),
            (404, "GET", "/v1/commands/root.forged", None, {}),
            (403, "GET", "/v1/commands/root.forged", None, {"x-scopes": "none"}),
            (401, "GET", "/v1/commands/root.forged", None, {"x-scopes": "no token"}),
            *(
                (status, method, path, None, {"x-scopes": scopes})
                for method, path in MODERATION
                for status, scopes in ((403, "none"), (403, "shortener:write"), (401, "no token"))
            ),
            (422, "PUT", f"{edit}/standing", {"standing": "odd"}, {"x-scopes": "ops"}),
            (404, "PUT", f"{LINKS}/unknown/standing", {"standing": "clear"}, {"x-scopes": "ops"}),
            (403, "GET", f"{edit}/history", None, {"x-scopes": "none"}),
            (401, "GET", f"{edit}/history", None, {"x-scopes": "no token"}),
        ]
        status, method, path, body, headers = self._chance.choice(choices)
        operation = self._operation("malformed", method, path, body=body, headers=headers)
        operation.headers = headers
        operation.query = {"expected": str(status)}
        return operation

    def _operation(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        code: str = "",
    ) -> Operation:
        self._count += 1
        identity = f"{self.name}.{self._count}"
        given = dict(headers or {})
        if (
            kind in ("create", "patch", "delete", "transfer", "bulk")
            and self._chance.random() < 0.6
        ):
            given["idempotency-key"] = f"key-{identity}"
        return Operation(
            identity, kind, method, path, body, given, dict(query or {}), code, self._world.now
        )

    def _code(self) -> str:
        """A code to use: mostly one's own, at times anybody's, or an alias that may not be."""
        if self._shared.hot and self._known and self._chance.random() < 0.9:
            return next(iter(self._known))
        pool = list(self._known) or list(self._shared.codes) or list(ALIASES)
        if self._chance.random() < 0.3:
            pool = [*self._shared.codes, *ALIASES]
        return self._chance.choice(pool)

    def _url(self) -> str:
        host = self._chance.choice(("example.com",) * 8 + (BAD_HOST, "very.bad.example"))
        return f"https://{host}" + self._chance.choice(PATHS)

    def _expiry(self) -> str | None:
        ahead = self._chance.choice((None, 100, 3_000, 15_000, 86_400_000))
        return None if ahead is None else text(self._world.now + ahead)

    # ---- How it asks --------------------------------------------------------------------------

    def _perform(self, operation: Operation) -> None:
        operation.begun = self._world.now
        for attempt in range(ATTEMPTS):
            answer = self._ask(operation, attempt)
            if answer is not None and answer.status < 500:
                operation.answer = answer
                self._check(operation, answer)
                break
            self._world.sleep(self._chance.random() * 2 ** (attempt + 1))
        self._done.append(operation)

    def _ask(self, operation: Operation, attempt: int) -> Response | None:
        # Without a key each attempt is a command of its own.
        operation.attempt = attempt
        operation.correlation = (
            operation.id if operation.key else f"{operation.id}.{operation.begun}.{attempt}"
        )
        if operation.reuses:
            operation.correlation = f"{operation.id}.reuse"
        operation.asked = self._world.now
        headers = {**operation.headers, "x-correlation-id": operation.correlation}
        scopes = headers.pop("x-scopes", None)
        claims = {"sub": self._user, "custom:tenant": self._tenant}
        if scopes is not None:
            claims["custom:scopes"] = scopes.replace("none", "")
        body = operation.body
        query = {} if operation.kind == "malformed" else operation.query
        return self._world.request(
            operation.method,
            operation.path,
            claims=None if scopes == "no token" else claims,
            body=body if body is None or isinstance(body, str) else json.dumps(body),
            headers=headers,
            query=query,
        )

    # ---- What it may be answered --------------------------------------------------------------

    def _check(self, operation: Operation, answer: Response) -> None:
        checks: dict[str, Callable[[Operation, Response], None]] = {
            "create": self._check_create,
            "patch": self._check_edit,
            "delete": self._check_edit,
            "transfer": self._check_edit,
            "bulk": self._check_bulk,
            "redirect": self._check_redirect,
            "read": self._check_read,
            "read past": self._check_past,
            "history": self._check_history,
            "list": self._check_list,
            "malformed": self._check_malformed,
        }
        self._world.coverage.hit("clients", operation.kind, str(answer.status))
        checks[operation.kind](operation, answer)
        if operation.kind in ("create", "patch", "transfer") and answer.status in (200, 201):
            link = answer.json()
            asked = operation.body or {}
            derived = "alias" not in asked and not guarded(asked)
            if answer.status == 201 and asked.get("dedupe", True) and derived:
                self._shared.deduped.add(stream_id(link["code"]))
            self._learn(link["code"], link["version"])
        if operation.kind == "transfer" and answer.status == 200:
            new = (operation.body or {})["owner"], self._tenant
            if new != (self._user, self._tenant):
                self._known.pop(operation.code, None)
                self._given.append(answer.json()["long_url"])
                known = self._shared.known.setdefault(new, {})
                known[operation.code] = answer.json()["version"]
        if operation.kind in ("patch", "delete") and answer.status in (204, 410):
            # Others still try it; its owner mostly turns to another link.
            self._known.pop(operation.code, None)

    def _learn(self, code: str, version: int) -> None:
        self._known[code] = version
        self._shared.codes.setdefault(code)
        state = self._log.state(stream_id(code), version)
        if guarded(state):
            self._shared.guarded.setdefault(code)

    def _check_create(self, operation: Operation, answer: Response) -> None:
        body, stream = operation.body or {}, stream_id(operation.code)
        first = self._log.of(stream)[0] if self._log.of(stream) else None
        match answer.status:
            case 201:
                self._check_created(operation, answer)
            case 200:
                self._check_deduped(operation, answer)
            case 202:
                self._check_accepted(operation, answer)
            case 403:
                self._expect("only who is banned is kept out", operation, self._banned())
            case 409 if "alias_taken" not in answer.text:
                met = self._world.met[self._world.actor()]
                self._expect("a conflict has rivals", operation, "conflict" in met)
            case 409 if "alias" in body:
                if first is None:
                    self._fail("a taken alias has a taker", operation, "there is no such link")
                elif first.correlation == operation.correlation:
                    self._fail("a command is not beaten by itself", operation, f"took {stream}")
            case 422 if operation.reuses:
                pass
            case 422:
                self._expect(
                    "only what is wrong is refused",
                    operation,
                    self._refusable(body, [{}], answer.text),
                )
            case _:
                self._fail("an answer is one of the documented", operation, answer.text)
        if operation.reuses and answer.status in (200, 201):
            former = operation.reuses.correlation
            known = self._log.commands.get(former)
            if known and known[1].now < operation.asked and known[1] is first:
                self._fail("a key stands for one payload", operation, f"{former} is {known}")

    def _check_created(self, operation: Operation, answer: Response) -> None:
        link, wanted = answer.json(), operation.body or {}
        found = self._log.commands.get(operation.correlation)
        if found is None or found[0] != stream_id(link["code"]) or found[1].before != 0:
            self._fail("what is acknowledged is in the log", operation, f"{found}")
            return
        created = found[1].states[0]
        self._expect(
            "what is acknowledged is what was asked",
            operation,
            link == shown(created, 1)
            and (created["owner"], found[1].tenant) == (self._user, self._tenant)
            and same_url(created["long_url"], wanted["long_url"])
            and created["redirect_status"] == wanted.get("redirect_status", 302)
            and all(field_holds(created, n, wanted[n]) for n in wanted if n in (*TERMS, "counted"))
            and ("expires_at" not in wanted or link["expires_at"] == wanted["expires_at"])
            and link["code"] == wanted.get("alias", link["code"])
            and answer.headers["etag"] == '"1"',
        )
        self._check_first(operation, answer)
        derived = "alias" not in wanted and not guarded(wanted)
        if wanted.get("dedupe", True) and derived and not operation.repeats:
            self._check_nothing_to_dedupe(operation, stream_id(link["code"]))

    def _check_first(self, operation: Operation, answer: Response) -> None:
        first = operation.repeats
        if first is not None and first.answer is not None and first.answer.status == 201:
            same = first.answer.json() == answer.json()
            self._expect("a repeat gets the first answer", operation, same)

    def _check_nothing_to_dedupe(self, operation: Operation, made: str) -> None:
        """There was no link that should have been the answer all through the last attempt."""
        wanted = operation.body or {}
        for stream, commits in self._log.streams.items():
            if stream == made or not commits or commits[0].now >= operation.begun:
                continue
            if not stream.startswith("link#"):
                continue
            state, tenant = commits[-1].state, commits[-1].tenant
            unchanged = commits[-1].now < operation.begun
            ours = (state["owner"], tenant) == (self._user, self._tenant) and not guarded(state)
            fits = same_url(state["long_url"], wanted["long_url"]) and not (
                {"redirect_status", "expires_at", "counted", *TERMS} & wanted.keys()
            )
            # A link that was pointed there later stands at another URL's code.
            begun = commits[0].states[0]["long_url"]
            own_way = (
                stream in self._shared.deduped
                and same_url(begun, wanted["long_url"])
                and commits[0].states[0]["owner"] == self._user
            )
            if unchanged and ours and fits and own_way and self._surely_live(state):
                self._fail("a URL has one link", operation, f"{stream} has it already")

    def _check_deduped(self, operation: Operation, answer: Response) -> None:
        link, wanted = answer.json(), operation.body or {}
        stream = stream_id(link["code"])
        state = self._log.state(stream, link["version"])
        low, high = self._log.version(stream, operation.asked), self._log.head(stream)
        tenant = self._log.of(stream)[0].tenant if state else ""
        self._expect(
            "dedupe answers with a link that leads there",
            operation,
            low <= link["version"] <= high
            and link == shown(state, link["version"])
            and wanted.get("dedupe", True)
            and "alias" not in wanted
            and (state["owner"], tenant) == (self._user, self._tenant)
            and same_url(state["long_url"], wanted["long_url"])
            and not self._surely_dead(state, operation)
            and not guarded(wanted)
            and not guarded(state)
            and all(
                field_holds(state, n, wanted[n])
                for n in ("redirect_status", "expires_at", "counted", *TERMS)
                if n in wanted
            ),
        )
        first = operation.repeats
        if first is not None and first.answer is not None and first.answer.status == 201:
            # KNOWN: an earlier candidate has come to fit since, and is the answer now.
            self._world.coverage.hit("known", "shortener", "repeated create deduped")

    def _check_edit(self, operation: Operation, answer: Response) -> None:
        stream = stream_id(operation.code)
        own = self._log.commands.get(operation.correlation)
        forgotten = own is not None and self._log.forgotten(stream, own[1])
        window = list(self._window(stream, operation.begun, operation.asked))
        match answer.status:
            case 200 | 204:
                self._check_edited(operation, answer)
            case 412:
                wrong = any(version != operation.if_match for version, _ in window)
                self._expect(
                    "If-Match fails only if it does not hold",
                    operation,
                    wrong and (own is None or forgotten),
                )
                if forgotten:
                    self._world.coverage.hit("kernel", "shortener", "late repeat forgotten")
            case 403:
                self._expect("only who is banned is kept out", operation, self._banned())
            case 404:
                hidden = any(not self._mine(stream, state) for _, state in window)
                self._expect("only what is not one's own is not found", operation, hidden)
            case 410:
                gone = any(state.get("deleted") for _, state in window)
                deleter = operation.kind == "delete" and own is not None and not forgotten
                self._expect("only what is deleted is gone", operation, gone and not deleter)
            case 409:
                met = self._world.met[self._world.actor()]
                lost = len(self._rivals(stream, operation)) >= LOSSES or "conflict" in met
                self._expect("a conflict has rivals", operation, lost)
                self._world.coverage.hit("kernel", "shortener", "conflict given up")
            case 422 if operation.reuses:
                pass
            case 422:
                states = [state for _, state in window]
                wrong = self._refusable(operation.body or {}, states, answer.text)
                self._expect("only what is wrong is refused", operation, wrong)
            case _:
                self._fail("an answer is one of the documented", operation, answer.text)

    def _check_edited(self, operation: Operation, answer: Response) -> None:
        stream, own = stream_id(operation.code), self._log.commands.get(operation.correlation)
        if own is not None:
            self._count_conflicts(stream, own[1], operation)
        self._check_reuse(operation, stream)
        if own is not None and operation.if_match is not None:
            held = own[1].before == operation.if_match
            self._expect("an edit changes the version it expects", operation, held)
        if own is not None:
            theirs = self._mine(stream, self._log.state(stream, own[1].before))
            self._expect("an edit is its owner's", operation, theirs)
        if operation.kind == "delete":
            self._expect(
                "what is acknowledged is in the log",
                operation,
                own is not None and own[0] == stream and own[1].state["deleted"],
            )
            return
        link, wanted = answer.json(), operation.body or {}
        version, state = link["version"], self._log.state(stream, link["version"])
        if own is not None and own[1].after != version and not operation.repeats:
            self._fail("what is acknowledged is in the log", operation, f"{own} at {version}")
        unchanged = own is None and version >= self._log.version(stream, operation.asked)
        self._expect(
            "what is acknowledged is what was asked",
            operation,
            (own is not None or unchanged)
            and (own is not None or self._mine(stream, state))
            and link == shown(state, version)
            and answer.headers["etag"] == f'"{version}"'
            and all(field_holds(state, name, value) for name, value in wanted.items()),
        )
        first = operation.repeats
        if first and first.answer and first.answer.status == 200 and own is not None:
            late = "forgotten" if self._log.forgotten(stream, own[1]) else "remembered"
            self._world.coverage.hit("kernel", "shortener", f"late repeat {late}")
            same = first.answer.json() == link or first.answer.json()["version"] != own[1].after
            forgotten = self._log.forgotten(stream, own[1])
            self._expect("a repeat gets the first answer", operation, same or forgotten)

    def _check_reuse(self, operation: Operation, stream: str) -> None:
        if operation.reuses is None:
            return
        known = self._log.commands.get(operation.reuses.correlation)
        if known and known[1].now < operation.asked and not self._log.forgotten(stream, known[1]):
            self._fail("a key stands for one payload", operation, f"{known}")

    def _count_conflicts(self, stream: str, own: Logged, operation: Operation) -> None:
        rivals = [
            each
            for each in self._log.of(stream)
            if operation.asked < each.now < own.now and each is not own
        ]
        self._world.coverage.hit("kernel", "shortener", f"conflict depth {min(3, len(rivals))}")

    def _check_redirect(self, operation: Operation, answer: Response) -> None:
        """redirects.py holds every redirect to its promise, also one that nobody gets."""

    def _check_bulk(self, operation: Operation, answer: Response) -> None:
        if answer.status == 403:
            self._expect("only who is banned is kept out", operation, self._banned())
            return
        items, wanted = answer.json()["items"], (operation.body or {})["links"]
        made = 0
        for item, asked in zip(items, wanted, strict=True):
            self._world.coverage.hit("bulk", "shortener", str(item["status"]))
            made += item["status"] == 201 and not item["repeated"]
            self._check_item(operation, item, asked)
        failed = sum(item["status"] >= 400 for item in items)
        told = (answer.json()["created"], answer.json()["failed"])
        self._expect("a bulk answer counts its items", operation, told == (made, failed))

    def _check_item(
        self, operation: Operation, item: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> None:
        problem = json.dumps(item.get("problem"))
        match item["status"]:
            case 201 | 200:
                link = item["link"]
                stream = stream_id(link["code"])
                state, first = self._log.state(stream, link["version"]), self._log.of(stream)[0]
                own = first.correlation == operation.correlation
                true = (
                    link == shown(state, link["version"])
                    and self._mine(stream, state)
                    and own == (item["status"] == 201)
                    and all(
                        field_holds(state, n, asked[n])
                        for n in ("long_url", "redirect_status", "counted", *TERMS)
                        if n in asked
                    )
                )
                self._expect("a bulk item is what was asked", operation, true)
                self._learn(link["code"], link["version"])
            case 409 if "alias_taken" in problem:
                first = self._log.of(stream_id(asked["alias"]))[0]
                beaten = first.correlation != operation.correlation or (
                    first.states[0]["long_url"] != asked["long_url"]
                )
                self._expect("a command is not beaten by itself", operation, beaten)
            case 409:
                met = self._world.met[self._world.actor()]
                self._expect("a conflict has rivals", operation, "conflict" in met)
            case 422:
                wrong = asked.get("redirect_status") == 200
                refusable = wrong or self._refusable(asked, [{}], problem)
                self._expect("only what is wrong is refused", operation, refusable)
            case 403:
                self._expect("only who is banned is kept out", operation, self._banned())
            case 503:
                met = self._world.met[self._world.actor()]
                self._expect("no item fails without a cause", operation, bool(met))
            case _:
                self._fail("an answer is one of the documented", operation, problem)

    # ---- Accepted creates ---------------------------------------------------------------------

    def _check_accepted(self, operation: Operation, answer: Response) -> None:
        place = answer.json()["status_url"]
        named = answer.headers["location"] == place and place.startswith(f"{HOST}/v1/commands/")
        self._expect("who is accepted is told where to ask", operation, named)
        sent = self._promises.newest(operation.correlation)
        ticket = Ticket((self._user, self._tenant), place.removeprefix(HOST), sent, operation)
        self._tickets.append(ticket)
        self._shared.tickets.append(ticket)

    def _snoop(self, ticket: Ticket) -> None:
        operation = self._operation("snoop", "GET", ticket.path)
        answer = operation.answer = self._ask(operation, 0)
        if answer is not None and answer.status < 500:
            self._world.coverage.hit("clients", "snoop", str(answer.status))
            self._expect("another's ticket is not found", operation, answer.status == 404)

    def _redeem(self, ticket: Ticket, *, settled: bool = False) -> None:
        before = self._promises.outcome(ticket.stream)
        operation = self._operation("pending", "GET", ticket.path)
        answer = operation.answer = self._ask(operation, 0)
        if answer is None or answer.status >= 500:
            return
        self._world.coverage.hit("clients", "pending", str(answer.status))
        if answer.status == 202:
            early = before is None and not settled
            self._expect("what has ended is not pending", operation, early)
            return
        outcome = self._promises.outcome(ticket.stream)
        if outcome is None:
            self._fail("an outcome is in the log", operation, answer.text)
            return
        _, _, data = outcome.events[0]
        told = answer.json()
        if "code" in data:
            place = {"status": "created", "link": f"{HOST}{LINKS}/{data['code']}"}
            self._expect("an outcome is what is in the log", operation, told == place)
            owner = self._log.state(stream_id(data["code"]), 1)["owner"]
            if owner == self._user and not settled:
                self._learn(data["code"], 1)
            return
        refused = told["status"] == "refused" and told["problem"]["type"].endswith(data["kind"])
        self._expect("an outcome is what is in the log", operation, refused)

    def _check_read(self, operation: Operation, answer: Response) -> None:
        stream = stream_id(operation.code)
        window = dict(self._window(stream, operation.asked, operation.asked))
        match answer.status:
            case 200:
                link = answer.json()
                state = window.get(link["version"])
                self._expect(
                    "a consistent read shows what is",
                    operation,
                    state is not None
                    and self._mine(stream, state)
                    and not state["deleted"]
                    and link == shown(state, link["version"]),
                )
            case 404:
                hidden = any(not self._mine(stream, state) for state in window.values())
                self._expect("only what is not one's own is not found", operation, hidden)
            case 410:
                gone = any(state.get("deleted") for state in window.values())
                self._expect("only what is deleted is gone", operation, gone)
            case _:
                self._fail("an answer is one of the documented", operation, answer.text)

    def _check_past(self, operation: Operation, answer: Response) -> None:
        stream, at = stream_id(operation.code), operation.query["at"]
        window = dict(self._window(stream, operation.asked, operation.asked))
        wanted = {self._at(stream, at, version) for version in window}
        mine = [self._mine(stream, state) for state in window.values()]
        if not all(mine):
            # It may have become somebody else's while the answer was under way.
            wanted = wanted | {0} if any(mine) else {0}
        if answer.status == 200:
            link = answer.json()
            state = self._log.state(stream, link["version"])
            right = link["version"] in wanted and link == shown(state, link["version"])
            self._expect("the past is what it was", operation, right)
        else:
            missing = answer.status == 404 and 0 in wanted
            self._expect("the past is what it was", operation, missing)

    def _at(self, stream: str, at: str, head: int) -> int:
        """The version that `at` means where the newest is `head`; 0 if there is none."""
        if at.isdecimal():
            return int(at) if 1 <= int(at) <= head else 0
        moment = millis(at)
        return max(
            (e.after for e in self._log.of(stream) if e.at <= moment and e.after <= head),
            default=0,
        )

    def _check_history(self, operation: Operation, answer: Response) -> None:
        stream = stream_id(operation.code)
        window = dict(self._window(stream, operation.asked, operation.asked))
        if answer.status == 404:
            hidden = any(not self._mine(stream, state) for state in window.values())
            self._expect("only what is not one's own is not found", operation, hidden)
            return
        items = self._pages(operation, answer)
        if items is None:
            return
        known = [
            (each.before + place, kind, text(each.at))
            for each in self._log.of(stream)
            for place, (kind, _, _) in enumerate(each.events, 1)
        ]
        shown = [(item["version"], item["type"], item["at"]) for item in items]
        mine = any(self._mine(stream, state) for state in window.values())
        complete = len(shown) >= self._log.version(stream, operation.asked)
        right = mine and complete and shown == known[: len(shown)]
        self._expect("a history is complete and in order", operation, right)

    def _check_list(self, operation: Operation, answer: Response) -> None:
        if answer.status != 200:
            self._fail("an answer is one of the documented", operation, answer.text)
            return
        items = self._pages(operation, answer)
        for item in items or ():
            stream = stream_id(item["code"])
            state = self._log.state(stream, item["version"])
            right = self._mine(stream, state) and item == shown(state, item["version"])
            self._expect("a list shows states that were", operation, right and not item["deleted"])
        order = [(item["created_at"], item["code"]) for item in items or ()]
        self._expect("a list is in order", operation, order == sorted(set(order), reverse=True))

    def _pages(self, operation: Operation, answer: Response) -> list[Any] | None:
        """All items from the first page on; None if a page could not be had."""
        items, page = [], answer.json()
        while True:
            items += page["items"]
            fits = len(page["items"]) <= int(operation.query["limit"])
            self._expect("a page holds no more than was asked for", operation, fits)
            if page["next_cursor"] is None:
                return items
            self._world.coverage.hit("kernel", "shortener", f"{operation.kind} goes on")
            following = {**operation.query, "cursor": page["next_cursor"]}
            operation_on = replace(operation, query=following)
            turned = self._ask(operation_on, 0)
            if turned is None or turned.status >= 500:
                return None
            if turned.status == 404 and operation.kind == "history":
                stream = stream_id(operation.code)
                lost = not self._mine(stream, self._log.of(stream)[-1].state)
                self._expect("only what is not one's own is not found", operation_on, lost)
                return None
            if turned.status != 200:
                self._fail("a cursor of ours is good", operation, turned.text)
                return None
            page = turned.json()

    def _check_malformed(self, operation: Operation, answer: Response) -> None:
        expected = operation.query["expected"]
        # Who may not see the link is told that first.
        hidden = answer.status == 404 and "?at=" in operation.path
        banned = answer.status == 403 and self._banned()
        told = hidden or banned or str(answer.status) == expected
        self._expect("what is malformed is told so", operation, told)

    # ---- What it knows ------------------------------------------------------------------------

    def _window(self, stream: str, begun: int, asked: int) -> Iterator[tuple[int, State]]:
        """Versions that the stream had between a moment and now, with their states."""
        low = min(self._log.version(stream, begun), self._log.version(stream, asked))
        return self._log.between(stream, low, self._log.head(stream))

    def _mine(self, stream: str, state: State) -> bool:
        commits = self._log.of(stream)
        return (
            bool(state)
            and "owner" in state
            and (state["owner"], commits[0].tenant) == (self._user, self._tenant)
        )

    def _rivals(self, stream: str, operation: Operation) -> list[Logged]:
        return [each for each in self._log.of(stream) if each.now >= operation.asked]

    def _banned(self) -> bool:
        """Whether the user ever was: the directory may be as late as it likes."""
        return bool(self._log.of(f"ban#owner#{self._user}"))

    def _refusable(self, body: Mapping[str, Any], states: list[State], told: str) -> bool:
        """Whether something is wrong with this, if the link is in one of these states."""
        late = self._too_late(body) and "expires_at" in told
        contradictory = any(contradicts(state, body) for state in states) and (
            "not_before" in told or "counted" in told
        )
        to_banned = bool(self._log.of(f"ban#owner#{body.get('owner')}")) and "is banned" in told
        on_banned = "was banned" in told and self._on_banned_host(body)
        return late or contradictory or to_banned or on_banned

    def _on_banned_host(self, body: Mapping[str, Any]) -> bool:
        urls = {"long_url": "", "fallback_url": None, "rules": None, **body}
        named = hosts({**urls, "rules": None})
        return any(
            host.endswith(each.rpartition("#")[2])
            for host in named
            for each in self._log.streams
            if each.startswith("ban#host#")
        )

    def _too_late(self, body: Mapping[str, Any]) -> bool:
        """Whether some container's clock may have found the expiry in the past."""
        expiry = body.get("expires_at")
        return expiry is not None and millis(expiry) <= self._world.now + self._skew

    def _surely_live(self, state: State) -> bool:
        expiry = state["expires_at"]
        alive = expiry is None or expiry > self._world.now + self._skew
        begin = state["not_before"]
        begun = begin is None or begin <= self._world.now - self._skew
        return alive and begun and not self._off(state)

    def _surely_dead(self, state: State, operation: Operation) -> bool:
        expiry = state["expires_at"]
        expired = expiry is not None and expiry <= operation.asked - self._skew
        begin = state["not_before"]
        early = begin is not None and begin > self._world.now + self._skew
        return bool(expired or early or self._off(state))

    def _off(self, state: State) -> bool:
        return bool(state["disabled"] or state["deleted"] or state["standing"] != "clear")

    @property
    def _skew(self) -> int:
        return self._world.weather.skew

    def _expect(self, invariant: str, operation: Operation, holds: bool) -> None:
        if not holds:
            answer = operation.answer
            told = f"{answer.status} {dict(answer.headers)} {answer.text}" if answer else "?"
            self._fail(invariant, operation, told)

    def _fail(self, invariant: str, operation: Operation, detail: str) -> None:
        asked = f"{operation.id} {operation.method} {operation.path} {operation.body}"
        raise Violation(invariant, f"{asked}: {detail}")


@dataclass(frozen=True)
class Ticket:
    """A create that was accepted: whose it is, where to ask for it, its outcome's stream."""

    caller: tuple[str, str]
    path: str
    stream: str
    operation: Operation


class LastBan(NamedTuple):
    """A ban that all containers know since `known_at` (epoch ms)."""

    kind: str
    value: str
    known_at: int

    def over(self, owner: str, host: str) -> bool:
        """Whether an owner's links to a host are under it."""
        return self.value == (owner if self.kind == "owner" else host)


@dataclass
class Shared:
    """What clients know of one another's doings: the codes that were given out, those with a cap
    or a password, the versions that each user has seen of his own, the streams that dedupe made,
    the creates that were accepted. `hot`: nearly all that a user does concerns one link. `led`: the
    link that is led elsewhere again and again, once there is one. `last_ban`: the one that comes
    into force when all else is quiet."""

    hot: bool
    last_ban: LastBan | None = None
    led: str = ""
    guarded: dict[str, None] = field(default_factory=dict)
    tickets: list[Ticket] = field(default_factory=list)
    codes: dict[str, None] = field(default_factory=dict)
    known: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    deduped: set[str] = field(default_factory=set)


def shared(world: World) -> Shared:
    """What the clients of one run share."""
    return Shared(hot=world.plan.chance("clients").random() < 0.3)


def clients(world: World, log: Log, promises: Promises, shared: Shared) -> list[Client]:
    """The clients of one run; a user may have several devices at work."""
    chance = world.plan.chance("crowd")
    operations = chance.choice((6, 12, 20))
    alone = [("alice", "default"), ("bob", "default"), ("alice", OTHER_TENANT)]
    if shared.hot:
        operations = 24
    crowd = [("alice", "default")] * 3 + [("alice", OTHER_TENANT), ("bob", "default")]
    people = chance.choice((alone, crowd, [("alice", "default")] * 7))
    busy = [
        Client(world, log, promises, shared, user, tenant, device, operations)
        for device, (user, tenant) in enumerate(people)
    ]
    if not shared.hot and not world.blind:
        return busy
    user, tenant = people[0]
    return [
        *busy,
        Client(world, log, promises, shared, user, tenant, len(busy), EDITS, steady=True),
    ]
