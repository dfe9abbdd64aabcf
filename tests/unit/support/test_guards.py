"""Nothing that these tests do may reach further than this process."""

from __future__ import annotations

import os
import socket

import pytest
from pytest_socket import SocketBlockedError

from tests.support.pump import Stack


def test_a_unit_test_opens_no_socket() -> None:
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket()


def test_no_account_of_the_developers_is_in_reach() -> None:
    assert os.environ["AWS_ACCESS_KEY_ID"] == "test"
    assert "AWS_PROFILE" not in os.environ


def test_a_closed_stacks_clients_do_not_leave_the_machine(stack: Stack) -> None:
    client = stack.runtime("NoteWrite").client("dynamodb")
    stack.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="would leave the machine"):
        client.list_tables()
    stack.__enter__()
