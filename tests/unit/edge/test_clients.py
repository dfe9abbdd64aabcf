"""How long a hurried client may hold a visitor up."""

from __future__ import annotations

import pytest

from functions.edge.clients import client


@pytest.mark.parametrize(
    ("service", "most"), [("dynamodb", 2.0), ("sqs", 0.5), ("secretsmanager", 0.5)]
)
def test_a_hurried_client_gives_up_in_time(service: str, most: float) -> None:
    config = client(service, hurried=True).meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) <= most


def test_a_client_is_made_once_however_it_is_asked_for() -> None:
    assert client("dynamodb") is client("dynamodb", 0) is client("dynamodb", 0, "", False)


def test_a_client_with_a_deadline_asks_once() -> None:
    config = client("dynamodb", 100).meta.config
    assert (config.connect_timeout, config.read_timeout) == (0.1, 0.1)
    assert config.retries["total_max_attempts"] == 1
