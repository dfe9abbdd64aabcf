"""The oracle's own idea of a link: what its events mean, how it is shown, what a visit leads to.

Written beside production's, not with it, so that a mistake in either shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.simulation.invariants import Capability, Kind, Logged, State

HOST = "https://c0ffee00.execute-api.us-east-1.amazonaws.com"
RING = 8
"""Commands with a key that a link remembers."""
PASSWORD = "sesame"
"""Of every link that has one."""
TERMS = ("not_before", "fallback_url", "max_clicks", "password", "rules", "tags", "title")

_NEW: State = {
    "expires_at": None,
    **dict.fromkeys(TERMS),
    "counted": True,
    "disabled": False,
    "standing": "clear",
    "reason": None,
    "ban": None,
    "quarantine": None,
    "expired_at": None,
    "deleted": False,
    "deleted_at": None,
    "purged_at": None,
}
_SETS = {
    "LinkRetargeted": "long_url",
    "LinkExpiryChanged": "expires_at",
    "LinkRedirectStatusChanged": "redirect_status",
    "LinkStartChanged": "not_before",
    "LinkFallbackChanged": "fallback_url",
    "LinkCapChanged": "max_clicks",
    "LinkPasswordChanged": "password",
    "LinkRulesChanged": "rules",
    "LinkTagged": "tags",
    "LinkTitled": "title",
    "LinkCountingChanged": "counted",
    "LinkTransferred": "owner",
}


VERDICTS = {
    "LinkQuarantined": "quarantined",
    "LinkBanned": "banned",
    "LinkCleared": "clear",
}
"""The standing that each such event gives."""


def fold(state: State, kind: str, data: dict[str, Any]) -> State:
    """What a link's events mean."""
    if kind in _SETS:
        return {**state, _SETS[kind]: data.get(_SETS[kind])}
    if kind in VERDICTS:
        return {**state, **_judged(state, VERDICTS[kind], data.get("reason"), data.get("ban"))}
    changes: dict[str, State] = {
        "LinkCreated": {**_NEW, **data},
        "LinkDisabled": {"disabled": True},
        "LinkEnabled": {"disabled": False},
        "LinkDeleted": {"deleted": True, "deleted_at": data.get("deleted_at")},
    }
    return {**state, **changes[kind]}


def _judged(state: State, standing: str, reason: str | None, ban: str | None) -> State:
    """A ban keeps the quarantine that it comes over; a verdict of its own ends it."""
    beneath = None
    if ban is not None:
        beneath = state["reason"] if state["standing"] == "quarantined" else state["quarantine"]
    return {"standing": standing, "reason": reason, "ban": ban, "quarantine": beneath}


def row(version: int, state: State) -> dict[str, Any]:
    """What the list keeps of a link; nothing of a deleted one."""
    if state["deleted"]:
        return {}
    link = {name: value for name, value in state.items() if value is not None}
    return {"version": version, "link": link}


def _ban(state: State, kind: str, data: dict[str, Any]) -> State:
    return {**data, "lifted": False} if kind == "BanImposed" else {**state, "lifted": True}


_TELLS = {
    "LinkCreated": "LinkCreated",
    "LinkDeleted": "LinkDeleted",
    "LinkPurged": "LinkDeleted",
    "LinkTransferred": "LinkTransferred",
}
_PUBLIC = (
    "domain",
    "code",
    "owner",
    "standing",
    "long_url",
    "redirect_status",
    "created_at",
    "not_before",
    "expires_at",
    "fallback_url",
    "max_clicks",
    "title",
    "tags",
    "counted",
)


def tells(stream: str, commit: Logged) -> tuple[str, State] | None:
    """What others are told of a commit: of links alone, and of no link its password."""
    if not stream.startswith("link#"):
        return None
    state = commit.state
    told = {name: state[name] for name in _PUBLIC if state[name] is not None}
    over = "deleted" if state["deleted"] else "disabled" if state["disabled"] else "active"
    told |= {"state": over, "protected": state["password"] is not None}
    return _TELLS.get(commit.events[-1][0], "LinkChanged"), told


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
    publisher="ShortenerPublish",
    tells=tells,
    others={
        # An outcome is written once: whoever read it must not be contradicted.
        "command": Kind(
            fold=lambda state, kind, data: {"event": kind, **data},
            ended=bool,
            view=None,
            row=None,
            single=False,
        ),
        "ban": Kind(
            fold=_ban,
            ended=lambda state: False,
            view="directory",
            row=lambda version, state: {} if state["lifted"] else state,
            single=False,
        ),
    },
    # One run of the enforcement changes many links, one bulk request creates many.
    several=lambda correlation: correlation.startswith(("invocation-", "bulk.")),
)


# ---- How it is shown ------------------------------------------------------------------------


def shown(state: State, version: int) -> dict[str, Any]:
    """A link as the API shows it; nothing of none."""
    if not state:
        return {}
    same = ("code", "long_url", "title", "fallback_url", "max_clicks", "redirect_status", "counted")
    flags = ("disabled", "standing", "reason", "deleted")
    moments = ("created_at", "expires_at", "not_before")
    return {
        **{name: state[name] for name in (*same, *flags)},
        **{name: state[name] and text(state[name]) for name in moments},
        "domain": None,
        "short_url": f"{HOST}/{state['code']}",
        "tags": list(state["tags"] or ()),
        "password": state["password"] is not None,
        "rules": [_shown_rule(*rule) for rule in state["rules"] or ()],
        "version": version,
        "warnings": [],
    }


def _shown_rule(conditions: Any, targets: Any) -> dict[str, Any]:
    return {
        **{name: values for name, *values in conditions},
        "to": [{"url": url, "weight": weight} for url, weight in targets],
    }


_CLEARED = {"redirect_status": 302, "disabled": False, "counted": True}


def holds(state: State, name: str, value: Any) -> bool:
    """Whether a field that was asked for has come true; null clears."""
    if value is None:
        return bool(state[name] == _CLEARED.get(name))
    if name == "password":
        return state[name] is not None
    if name == "rules":
        return bool([_shown_rule(*rule) for rule in state[name] or ()] == value)
    moment = name in ("expires_at", "not_before")
    return bool(state[name] == (millis(value) if moment else value))


def contradicts(state: State, wanted: Mapping[str, Any]) -> bool:
    """Whether a link in this state cannot have what is wanted, whatever the time."""
    merged = {**_NEW, **state, **wanted}
    begin, end = (_moment(merged[name]) for name in ("not_before", "expires_at"))
    if begin is not None and end is not None and begin >= end:
        return True
    uncounted = not merged["counted"] and merged["counted"] is not None
    return bool(uncounted and any(merged[name] for name in ("max_clicks", "password", "rules")))


def guarded(terms: Mapping[str, Any]) -> bool:
    """Whether only people may follow such a link, so that it is nobody's answer to a create."""
    return bool(terms.get("max_clicks") or terms.get("password"))


def _moment(value: Any) -> int | None:
    return millis(value) if isinstance(value, str) else value


def same_url(one: str, other: str) -> bool:
    """Whether two URLs are one."""

    def whole(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(path=parts.path or "/").geturl()

    return whole(one) == whole(other)


def hosts(state: State) -> set[str]:
    """The hosts of all URLs that a link may lead to."""
    urls = [state["long_url"], state["fallback_url"] or ""]
    urls += [url for _, targets in state["rules"] or () for url, _ in targets]
    return {urlsplit(url).hostname or "" for url in urls}


# ---- What a visit leads to ------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """What somebody asks of a code: `person` if nothing says that it is a machine, `password` the
    one that he sends by the form, None without a form; `preview` asks where it leads."""

    person: bool
    iphone: bool
    password: str | None = None
    preview: bool = False
    form: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a visit may be answered. `name` says which outcome it is, `told` stands in the body,
    `hidden` does not; `led` outcomes are followed clicks, which use up a cap."""

    name: str
    status: int
    location: str | None = None
    told: str = ""
    hidden: str | None = None

    @property
    def led(self) -> bool:
        return self.name in ("target", "unlocked")


UNKNOWN = Outcome("unknown", 404, told="unknown_link")
THROTTLED = Outcome("too many attempts", 429, told="too_many_attempts")


def stages(state: State, low: int, high: int) -> set[str]:
    """How far the link lets anybody come at some moment between two of a container's clock."""
    if state["standing"] == "banned":
        return {"banned"}
    if state["deleted"] or state["disabled"]:
        return {"gone"}
    windows = _windows(state, low, high)
    if state["standing"] != "quarantined":
        return windows
    open_to_all = {each == "open" and not state["password"] for each in windows}
    return {"warning" if each else "warning that hides" for each in open_to_all}


def _windows(state: State, low: int, high: int) -> set[str]:
    found, begin, end = set(), state["not_before"], state["expires_at"]
    for moment in (low, high, *(m for m in (begin, end) if m is not None and low < m < high)):
        if begin is not None and moment < begin:
            found.add("early")
        elif end is not None and moment >= end:
            found.add("over")
        else:
            found.add("open")
    return found


def outcomes(state: State, stage: str, visit: Visit, used_up: bool) -> Iterator[Outcome]:
    """All that a visit may be answered at a stage. `used_up`: perhaps no click is left."""
    fallback = state["fallback_url"]
    ended = Outcome("over", 410, told="link_gone")
    if fallback and visit.preview:
        ended = Outcome("preview", 200, told=fallback)
    elif fallback:
        ended = Outcome("fallback", 302, fallback)
    match stage:
        case "banned":
            yield Outcome("banned", 410, told="link_banned")
        case "gone":
            yield Outcome("gone", 410, told="link_gone")
        case "warning":
            yield Outcome("warning", 200, told=state["long_url"])
        case "warning that hides":
            yield Outcome(stage, 200, told="It was reported", hidden=state["long_url"])
        case "early":
            yield Outcome("early", 404, told="link_not_yet")
        case "over":
            yield ended
        case _:
            yield from _open(state, visit)
            if used_up and (visit.preview or visit.person):
                yield ended


def _open(state: State, visit: Visit) -> Iterator[Outcome]:
    if visit.preview:
        told = "Only who knows its password" if state["password"] else state["long_url"]
        hidden = state["long_url"] if state["password"] else None
        yield Outcome("preview", 200, told=told, hidden=hidden)
    elif not visit.person and guarded(state):
        told, hidden = "This link is for people", state["long_url"]
        yield Outcome("people only", 200, told=told, hidden=hidden)
    elif not state["password"]:
        status = 303 if visit.form else state["redirect_status"]
        yield Outcome("target", status, _destination(state, visit))
    elif not visit.form:
        told, hidden = "This link asks for a password", state["long_url"]
        yield Outcome("form", 200, told=told, hidden=hidden)
    elif visit.password == PASSWORD:
        yield Outcome("unlocked", 303, _destination(state, visit))
    else:
        yield Outcome("wrong password", 403, told="This was not the password")


def _destination(state: State, visit: Visit) -> str:
    for conditions, targets in state["rules"] or ():
        if visit.iphone and conditions == [["device", "ios"]]:
            return str(targets[0][0])
    return str(state["long_url"])


# ---- Times ----------------------------------------------------------------------------------


def stream_id(code: str) -> str:
    """The stream of a link."""
    return f"link#default#{code}"


def text(moment: int) -> str:
    """Epoch milliseconds as the API writes them."""
    whole = datetime.fromtimestamp(moment // 1000, UTC).replace(microsecond=moment % 1000 * 1000)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def millis(given: str) -> int:
    """And back."""
    return round(datetime.fromisoformat(given).timestamp() * 1000)
