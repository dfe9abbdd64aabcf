"""From messages to facts: what was sent is read for what it means. Pure, but for the lists of
agents and spammers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from functions.analytics import agents, referrers
from functions.analytics.agents import Agent
from functions.analytics.decider import Site
from functions.analytics.facts import NO_UTM, Fact, Sighting, Utm, bounded
from functions.analytics.links import site_of
from functions.analytics.tracking import campaign, place

CLICK = "click"
HUMAN = "human"


def of_message(message: Mapping[str, Any], site: Site) -> Iterator[Sighting]:
    """The facts of a message of the queue AnalyticsTracked."""
    for event in message["events"]:
        yield Sighting(bounded(_event(message, event, site)), event["sent_as"])


def of_click(click: Mapping[str, Any]) -> Sighting:
    """The fact of a message of contracts/shortener/LinkClicked.v1.json, but for its visitor."""
    data = click["data"]
    agent = _agent(data.get("agent"))
    referrer = referrers.host_of(data.get("referrer") or "")
    kind = None if data["kind"] == HUMAN else data["kind"]
    fact = Fact(
        id=click["id"],
        site=site_of(data["domain"], data["code"]),
        at=click["time"],
        name=CLICK,
        link=place(data["url"]),
        referrer=referrer,
        country=data.get("country"),
        device=agent.device,
        browser=agent.browser,
        os=agent.os,
        machine=_machine(kind, Agent(), referrer),
    )
    return Sighting(bounded(fact), fact.at)


def _event(message: Mapping[str, Any], event: Mapping[str, Any], site: Site) -> Fact:
    agent = _agent(event.get("agent", message["agent"]))
    referrer = referrers.host_of(event.get("referrer") or "")
    if referrer is not None and referrers.is_own(referrer, site.origins):
        referrer = None
    page, utm = _campaign(event.get("page"))
    return Fact(
        id=event["id"],
        site=site.id,
        at=event["at"],
        name=event["name"],
        visitor=event.get("visitor"),
        page=page,
        link=event.get("link"),
        referrer=referrer,
        country=event.get("country", message["country"]),
        device=agent.device,
        browser=agent.browser,
        os=agent.os,
        utm=utm,
        props=tuple((key, value) for key, value in event.get("props", ())),
        machine=_machine(message["machine"], agent, referrer, site.blocked_referrers),
    )


def _campaign(page: str | None) -> tuple[str | None, Utm]:
    if page is None:
        return None, NO_UTM
    path, utm = campaign(page)
    return path, utm


def _agent(text: str | None) -> Agent:
    # None told is not the same as one that tells nothing.
    return Agent() if text is None else agents.read(text)


def _machine(
    said: str | None, agent: Agent, referrer: str | None, blocked: tuple[str, ...] = ()
) -> str | None:
    """What is no person: by its own word, by its agent, or by where it claims to come from."""
    if said is not None:
        return said
    if agent.machine:
        return "bot"
    return "spam" if referrer is not None and referrers.is_spam(referrer, blocked) else None
