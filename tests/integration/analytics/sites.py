"""Sites as the tests of this capability make and change them."""

from __future__ import annotations

from typing import Any

from tests.support.http_api import Response
from tests.support.pump import Stack

SITES = "/v1/sites"
ANY = {"if-match": "*"}
OWNER = "3f0c1d2e-4b5a-6789-abcd-ef0123456789"
"""A subject of the length that Cognito gives out."""
UNKNOWN = "000000000000"
GOAL = {"what": "page", "pattern": "/thanks*"}
FUNNEL = {"steps": [{"what": "page", "pattern": "/cart"}, {"what": "event", "pattern": "paid"}]}


def ask(
    stack: Stack, method: str, path: str = "", status: int = 200, user: str = OWNER, **rest: Any
) -> Response:
    """A request to a route below /v1/sites, which must be answered so."""
    answer = stack.request(method, f"{SITES}{path}", user=user, **rest)
    assert answer.status == status, answer.text
    return answer


def make(stack: Stack, user: str = OWNER, **body: Any) -> str:
    """A new site; gives its id."""
    terms = {"name": "Shop", "origins": ["https://shop.example"], **body}
    made: str = ask(stack, "POST", "", 201, user, json=terms).json()["id"]
    return made


def change(stack: Stack, site: str, below: str = "", method: str = "PATCH", **rest: Any) -> Any:
    """Changes a site, whatever its version is, or removes something of it."""
    return ask(stack, method, f"/{site}{below}", **{"headers": ANY, **rest}).json()


def kind(answer: Response) -> str:
    """The kind of the problem that is answered."""
    found: str = answer.json()["type"].rpartition(":")[2]
    return found
