"""An endpoint that speaks AWS but is not AWS: whose it is, and sessions for it."""

from __future__ import annotations

import json
import os
import urllib.request
from unittest import mock
from urllib.parse import urlsplit

from localstack_client.session import Session

# The tag `ms-custom-id` of the template's API: eight hex digits, or MiniStack would not take it.
API_ID = "c0ffee00"


REGION = "us-east-1"
HERE = ("localhost", "127.0.0.1", "::1")
"""What this machine is called."""


class LocalError(Exception):
    """Something the person at the keyboard can put right; the message says how."""


def spare_proxies() -> None:
    """Has every client of this process, and of those that it starts, reach this machine itself: a
    proxy of the caller's could not."""
    # As urllib has it: the name in small letters comes first.
    known = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    if known.strip() == "*":
        return
    spared = [name for name in known.split(",") if name]
    spared += [name for name in HERE if name not in spared]
    os.environ.update(no_proxy=",".join(spared), NO_PROXY=",".join(spared))


def checked(endpoint: str) -> str:
    """An endpoint as it was given, without a last slash. Raises LocalError for what is no URL."""
    try:
        url = urlsplit(endpoint)
        whole = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise LocalError(f"{endpoint!r} is no endpoint such as http://localhost:4566")
    return endpoint.rstrip("/")


def session(endpoint: str) -> Session:
    """A session whose every client goes to `endpoint`, with credentials that open nothing."""
    # localstack-client puts this variable above any host it is given, and botocore would look
    # for the profile: the caller's own settings must not decide where we deploy.
    with mock.patch.dict(os.environ, AWS_ENDPOINT_URL=endpoint):
        return Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


def variables(endpoint: str) -> dict[str, str]:
    """The environment in which any AWS client, whoever makes it, goes to `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # Some clients read the one, some the other.
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def base_url(endpoint: str) -> str:
    """The API's base on MiniStack, in the one form that curl, browsers and Python all open.

    `<id>.execute-api.localhost` needs a resolver that knows `*.localhost`; Python's does not.
    """
    return f"{endpoint}/_aws/execute-api/{API_ID}"


def is_ministack(endpoint: str, *, timeout: float = 2.0) -> bool:
    """Whether MiniStack answers at `endpoint` within `timeout` seconds."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=timeout) as answer:
            return "iot_mtls" in json.load(answer)
    except (OSError, ValueError):
        return False
