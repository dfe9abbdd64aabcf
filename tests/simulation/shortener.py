"""The shortener in the simulation: what its clients do, and what each answer promises.

Every answer is held to the log at once: a write to the commit that it names, a read to the states
that the link went through while it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.simulation.invariants import Capability, Log, Logged, State
from tests.simulation.world import Violation, World
from tests.support.http_api import Response

LINKS = "/v1/links"
ALIASES = ("sale", "Sale", "news", "a.b")
PATHS = ("", "/one", "/two?q=1")
RING = 8
"""Commands with a key that a link remembers."""
ATTEMPTS = 5
LOSSES = 5
"""Races that an edit loses before it gives up."""
OTHER_TENANT = "acme"


_NEW: State = {
    "disabled": False,
    "deleted": False,
    "expires_at": None,
    "counted": True,
    "standing": "clear",
}


def fold(state: State, kind: str, data: dict[str, Any]) -> State:
    """The oracle's own idea of what a link's events mean."""
    changes: dict[str, State] = {
        "LinkCreated": {**_NEW, **data},
        "LinkRetargeted": {"long_url": data.get("long_url")},
        "LinkExpiryChanged": {"expires_at": data.get("expires_at")},
        "LinkRedirectStatusChanged": {"redirect_status": data.get("redirect_status")},
        "LinkDisabled": {"disabled": True},
        "LinkEnabled": {"disabled": False},
        "LinkDeleted": {"deleted": True, "deleted_at": data.get("deleted_at")},
    }
    return {**state, **changes[kind]}


def row(version: int, state: State) -> dict[str, Any]:
    """What the list keeps of a link; nothing of a deleted one."""
    if state["deleted"]:
        return {}
    link = {name: value for name, value in state.items() if value is not None}
    return {"version": version, "link": link}


CAPABILITY = Capability(
    name="shortener",
    events="ShortenerEvents",
    views="ShortenerViews",
    view="links",
    projector="ShortenerProject",
    sweep="ShortenerSweep",
    queues=("ShortenerRetry", "ShortenerRetryDlq"),
    snapshot_every=1,
    ring=RING,
    fold=fold,
    ended=lambda state: bool(state["deleted"]),
    row=row,
)


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


class Client:
    """A user of the API: does things at random, and checks every answer."""

    def __init__(
        self,
        world: World,
        log: Log,
        shared: Shared,
        user: str,
        tenant: str,
        device: int,
        operations: int,
    ) -> None:
        self.name = f"{user}.{tenant}.{device}"
        self._world = world
        self._log = log
        self._shared = shared
        self._user = user
        self._tenant = tenant
        self._operations = operations
        self._chance = world.plan.chance(f"client/{self.name}")
        self._done: list[Operation] = []
        self._known = shared.known.setdefault((user, tenant), {})
        self._count = 0

    def run(self) -> None:
        """The client's whole life."""
        makers: dict[Callable[[], Operation | None], int] = {
            self._create: 8,
            self._patch: 25 if self._shared.hot else 10,
            self._delete: 1 if self._shared.hot else 2,
            self._redirect: 5,
            self._read: 3,
            self._read_past: 2,
            self._history: 2,
            self._list: 3,
            self._again: 3,
            self._reuse: 1,
            self._malformed: 1,
        }
        for _ in range(self._operations):
            [maker] = self._chance.choices(list(makers), list(makers.values()))
            if (operation := maker()) is not None:
                self._perform(operation)
            self._world.sleep(0 if self._shared.hot else self._chance.choice((0, 0, 0.05, 1, 10)))

    def settled(self) -> None:
        """When all is quiet: the list is the fold of the log, page by page."""
        expected = [
            _shown(commits[-1].state, commits[-1].after)
            for stream, commits in self._log.streams.items()
            if self._mine(stream, commits[-1].state) and not commits[-1].state["deleted"]
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
        body: dict[str, Any] = {"long_url": self._url()}
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

    def _patch(self) -> Operation:
        code = self._code()
        changes: dict[str, Any] = {
            "long_url": self._url(),
            "disabled": self._chance.choice((True, False, None)),
            "redirect_status": self._chance.choice((301, 302, 307, None)),
            "expires_at": self._expiry(),
        }
        if self._shared.hot:
            # Each edit really is one, so that the link's memory fills.
            changes["long_url"] += f"/{self.name}/{self._count}"
        names = self._chance.sample(list(changes), self._chance.choice((1, 1, 2, 3)))
        if self._shared.hot and "long_url" not in names:
            names.append("long_url")
        body = {name: changes[name] for name in names}
        return self._edit("patch", "PATCH", code, body)

    def _delete(self) -> Operation:
        return self._edit("delete", "DELETE", self._code(), None)

    def _edit(self, kind: str, method: str, code: str, body: dict[str, Any] | None) -> Operation:
        version = self._known.get(code, 1)
        tags = ("*", "*", f'"{version}"', f'"{version}"', '"1"')
        tag = self._chance.choice(tags[:3] if self._shared.hot else tags)
        headers = {"if-match": tag}
        return self._operation(
            kind, method, f"{LINKS}/{code}", body=body, code=code, headers=headers
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
        moment = _text(self._world.now - int(self._chance.random() ** 3 * 30_000))
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
        body = {**(first.body or {}), "redirect_status": 308, "long_url": self._url() + "/other"}
        kind, method = first.kind, first.method
        payload: dict[str, Any] | None = body
        if first.kind == "patch" and self._chance.random() < 0.3:
            kind, method, payload = "delete", "DELETE", None
        again = self._operation(kind, method, first.path, body=payload, code=first.code)
        again.headers = dict(first.headers)
        again.reuses = first.reuses or first
        return again

    def _malformed(self) -> Operation:
        code = self._code()
        edit = f"{LINKS}/{code}"
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
        if kind in ("create", "patch", "delete") and self._chance.random() < 0.6:
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
        return "https://example.com" + self._chance.choice(PATHS)

    def _expiry(self) -> str | None:
        ahead = self._chance.choice((None, 100, 3_000, 15_000, 86_400_000))
        return None if ahead is None else _text(self._world.now + ahead)

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
        if scopes == "none":
            claims["custom:scopes"] = ""
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
            "redirect": self._check_redirect,
            "read": self._check_read,
            "read past": self._check_past,
            "history": self._check_history,
            "list": self._check_list,
            "malformed": self._check_malformed,
        }
        self._world.coverage.hit("clients", operation.kind, str(answer.status))
        checks[operation.kind](operation, answer)
        if operation.kind in ("create", "patch") and answer.status < 300:
            link = answer.json()
            asked = operation.body or {}
            if answer.status == 201 and asked.get("dedupe", True) and "alias" not in asked:
                self._shared.deduped.add(_stream(link["code"]))
            self._known[link["code"]] = link["version"]
            self._shared.codes.setdefault(link["code"])
        if operation.kind in ("patch", "delete") and answer.status in (204, 410):
            # Others still try it; its owner mostly turns to another link.
            self._known.pop(operation.code, None)

    def _check_create(self, operation: Operation, answer: Response) -> None:
        body, stream = operation.body or {}, _stream(operation.code)
        first = self._log.of(stream)[0] if self._log.of(stream) else None
        match answer.status:
            case 201:
                self._check_created(operation, answer)
            case 200:
                self._check_deduped(operation, answer)
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
                    self._too_late(body) and "expires_at" in answer.text,
                )
            case _:
                self._fail("an answer is one of the documented", operation, answer.text)
        if operation.reuses and answer.status < 300:
            former = operation.reuses.correlation
            known = self._log.commands.get(former)
            if known and known[1].now < operation.asked and known[1] is first:
                self._fail("a key stands for one payload", operation, f"{former} is {known}")

    def _check_created(self, operation: Operation, answer: Response) -> None:
        link, wanted = answer.json(), operation.body or {}
        found = self._log.commands.get(operation.correlation)
        if found is None or found[0] != _stream(link["code"]) or found[1].before != 0:
            self._fail("what is acknowledged is in the log", operation, f"{found}")
            return
        created = found[1].states[0]
        self._expect(
            "what is acknowledged is what was asked",
            operation,
            link == _shown(created, 1)
            and (created["owner"], found[1].tenant) == (self._user, self._tenant)
            and _same_url(created["long_url"], wanted["long_url"])
            and created["redirect_status"] == wanted.get("redirect_status", 302)
            and ("expires_at" not in wanted or link["expires_at"] == wanted["expires_at"])
            and link["code"] == wanted.get("alias", link["code"])
            and answer.headers["etag"] == '"1"',
        )
        self._check_first(operation, answer)
        if wanted.get("dedupe", True) and "alias" not in wanted and not operation.repeats:
            self._check_nothing_to_dedupe(operation, _stream(link["code"]))

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
            state, tenant = commits[-1].state, commits[-1].tenant
            unchanged = commits[-1].now < operation.begun
            ours = (state["owner"], tenant) == (self._user, self._tenant)
            fits = _same_url(state["long_url"], wanted["long_url"]) and not (
                {"redirect_status", "expires_at"} & wanted.keys()
            )
            # A link that was pointed there later stands at another URL's code.
            begun = commits[0].states[0]["long_url"]
            own_way = stream in self._shared.deduped and _same_url(begun, wanted["long_url"])
            if unchanged and ours and fits and own_way and self._surely_live(state):
                self._fail("a URL has one link", operation, f"{stream} has it already")

    def _check_deduped(self, operation: Operation, answer: Response) -> None:
        link, wanted = answer.json(), operation.body or {}
        stream = _stream(link["code"])
        state = self._log.state(stream, link["version"])
        low, high = self._log.version(stream, operation.asked), self._log.head(stream)
        tenant = self._log.of(stream)[0].tenant if state else ""
        self._expect(
            "dedupe answers with a link that leads there",
            operation,
            low <= link["version"] <= high
            and link == _shown(state, link["version"])
            and wanted.get("dedupe", True)
            and "alias" not in wanted
            and (state["owner"], tenant) == (self._user, self._tenant)
            and _same_url(state["long_url"], wanted["long_url"])
            and not self._surely_dead(state, operation)
            and all(link[n] == wanted[n] for n in ("redirect_status", "expires_at") if n in wanted),
        )
        first = operation.repeats
        if first is not None and first.answer is not None and first.answer.status == 201:
            # KNOWN: an earlier candidate has come to fit since, and is the answer now.
            self._world.coverage.hit("known", "shortener", "repeated create deduped")

    def _check_edit(self, operation: Operation, answer: Response) -> None:
        stream = _stream(operation.code)
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
                late = self._too_late(operation.body or {}) and "expires_at" in answer.text
                self._expect("only what is wrong is refused", operation, late)
            case _:
                self._fail("an answer is one of the documented", operation, answer.text)

    def _check_edited(self, operation: Operation, answer: Response) -> None:
        stream, own = _stream(operation.code), self._log.commands.get(operation.correlation)
        if own is not None:
            self._count_conflicts(stream, own[1], operation)
        self._check_reuse(operation, stream)
        if own is not None and operation.if_match is not None:
            held = own[1].before == operation.if_match
            self._expect("an edit changes the version it expects", operation, held)
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
            and self._mine(stream, state)
            and link == _shown(state, version)
            and answer.headers["etag"] == f'"{version}"'
            and all(_holds(state, name, value) for name, value in wanted.items()),
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
        stream, world = _stream(operation.code), self._world
        earliest = operation.asked - world.weather.staleness
        window = list(self._window(stream, earliest, earliest))
        match answer.status:
            case 301 | 302 | 307 | 308:
                target = answer.headers["location"]
                led = any(
                    state
                    and (state["long_url"], state["redirect_status"]) == (target, answer.status)
                    and not self._surely_dead(state, operation)
                    for _, state in window
                )
                self._expect("a code leads where it led just now", operation, led)
            case 404:
                unknown = any(version == 0 for version, _ in window)
                self._expect("a link that is there is found", operation, unknown)
            case 410:
                dead = any(state and not self._surely_live(state) for _, state in window)
                self._expect("a live link is not gone", operation, dead)
            case _:
                self._fail("an answer is one of the documented", operation, answer.text)

    def _check_read(self, operation: Operation, answer: Response) -> None:
        stream = _stream(operation.code)
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
                    and link == _shown(state, link["version"]),
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
        stream, at = _stream(operation.code), operation.query["at"]
        window = dict(self._window(stream, operation.asked, operation.asked))
        wanted = {self._at(stream, at, version) for version in window}
        if not any(self._mine(stream, state) for state in window.values()):
            wanted = {0}
        if answer.status == 200:
            link = answer.json()
            state = self._log.state(stream, link["version"])
            right = link["version"] in wanted and link == _shown(state, link["version"])
            self._expect("the past is what it was", operation, right)
        else:
            missing = answer.status == 404 and 0 in wanted
            self._expect("the past is what it was", operation, missing)

    def _at(self, stream: str, at: str, head: int) -> int:
        """The version that `at` means where the newest is `head`; 0 if there is none."""
        if at.isdecimal():
            return int(at) if 1 <= int(at) <= head else 0
        moment = _millis(at)
        return max(
            (e.after for e in self._log.of(stream) if e.at <= moment and e.after <= head),
            default=0,
        )

    def _check_history(self, operation: Operation, answer: Response) -> None:
        stream = _stream(operation.code)
        window = dict(self._window(stream, operation.asked, operation.asked))
        if answer.status == 404:
            hidden = any(not self._mine(stream, state) for state in window.values())
            self._expect("only what is not one's own is not found", operation, hidden)
            return
        items = self._pages(operation, answer)
        if items is None:
            return
        known = [
            (each.before + place, kind, _text(each.at))
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
            stream = _stream(item["code"])
            state = self._log.state(stream, item["version"])
            right = self._mine(stream, state) and item == _shown(state, item["version"])
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
            if turned.status != 200:
                self._fail("a cursor of ours is good", operation, turned.text)
                return None
            page = turned.json()

    def _check_malformed(self, operation: Operation, answer: Response) -> None:
        expected = operation.query["expected"]
        # Who may not see the link is told that first.
        hidden = answer.status == 404 and "?at=" in operation.path
        told = hidden or str(answer.status) == expected
        self._expect("what is malformed is told so", operation, told)

    # ---- What it knows ------------------------------------------------------------------------

    def _window(self, stream: str, begun: int, asked: int) -> Iterator[tuple[int, State]]:
        """Versions that the stream had between a moment and now, with their states."""
        low = min(self._log.version(stream, begun), self._log.version(stream, asked))
        return self._log.between(stream, low, self._log.head(stream))

    def _mine(self, stream: str, state: State) -> bool:
        commits = self._log.of(stream)
        return bool(state) and (state["owner"], commits[0].tenant) == (self._user, self._tenant)

    def _rivals(self, stream: str, operation: Operation) -> list[Logged]:
        return [each for each in self._log.of(stream) if each.now >= operation.asked]

    def _too_late(self, body: Mapping[str, Any]) -> bool:
        """Whether some container's clock may have found the expiry in the past."""
        expiry = body.get("expires_at")
        return expiry is not None and _millis(expiry) <= self._world.now + self._skew

    def _surely_live(self, state: State) -> bool:
        expiry = state["expires_at"]
        alive = expiry is None or expiry > self._world.now + self._skew
        return alive and not state["disabled"] and not state["deleted"]

    def _surely_dead(self, state: State, operation: Operation) -> bool:
        expiry = state["expires_at"]
        expired = expiry is not None and expiry <= operation.asked - self._skew
        return bool(expired or state["disabled"] or state["deleted"])

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


@dataclass
class Shared:
    """What clients know of one another's doings: the codes that were given out, the versions that
    each user has seen of his own, and the streams that dedupe made. `hot`: nearly all that a user
    does concerns one link."""

    hot: bool
    codes: dict[str, None] = field(default_factory=dict)
    known: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    deduped: set[str] = field(default_factory=set)


def clients(world: World, log: Log) -> list[Client]:
    """The clients of one run; a user may have several devices at work."""
    chance = world.plan.chance("clients")
    shared, operations = Shared(hot=chance.random() < 0.3), chance.choice((6, 12, 20))
    alone = [("alice", "default"), ("bob", "default"), ("alice", OTHER_TENANT)]
    if shared.hot:
        operations = 24
    crowd = [("alice", "default")] * 3 + [("alice", OTHER_TENANT), ("bob", "default")]
    people = chance.choice((alone, crowd, [("alice", "default")] * 7))
    return [
        Client(world, log, shared, user, tenant, device, operations)
        for device, (user, tenant) in enumerate(people)
    ]


def _stream(code: str) -> str:
    return f"link#default#{code}"


def _shown(state: State, version: int) -> dict[str, Any]:
    """A link as the API shows it."""
    if not state:
        return {}
    return {
        "code": state["code"],
        "short_url": f"https://c0ffee00.execute-api.us-east-1.amazonaws.com/{state['code']}",
        "long_url": state["long_url"],
        "created_at": _text(state["created_at"]),
        "expires_at": None if state["expires_at"] is None else _text(state["expires_at"]),
        "redirect_status": state["redirect_status"],
        "disabled": state["disabled"],
        "deleted": state["deleted"],
        "domain": None,
        "title": None,
        "tags": [],
        "not_before": None,
        "fallback_url": None,
        "max_clicks": None,
        "password": False,
        "rules": [],
        "counted": True,
        "standing": "clear",
        "reason": None,
        "warnings": [],
        "version": version,
    }


_CLEARED = {"expires_at": None, "redirect_status": 302, "disabled": False}


def _holds(state: State, name: str, value: Any) -> bool:
    """Whether a PATCH's field has come true; null clears."""
    if value is None:
        return bool(state[name] == _CLEARED[name])
    return bool(state[name] == (_millis(value) if name == "expires_at" else value))


def _same_url(one: str, other: str) -> bool:
    def whole(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(path=parts.path or "/").geturl()

    return whole(one) == whole(other)


def _text(millis: int) -> str:
    moment = datetime.fromtimestamp(millis // 1000, UTC).replace(microsecond=millis % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _millis(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
