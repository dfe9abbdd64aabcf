"""Tickets: where a caller, and nobody else, may ask what became of an accepted command."""

from __future__ import annotations

from functions.edge.cursor import Cursors
from functions.edge.identity import Identity
from functions.edge.problem import Problem
from functions.kernel.errors import NotFound

RETRY_SECONDS = "5"
"""When to ask again what became of it."""


def status_path(cursors: Cursors, caller: Identity, command: str) -> str:
    """Where this caller, and nobody else, may ask for a command that was accepted."""
    return f"/v1/commands/{cursors.make(command, 'command', caller.tenant, caller.user)}"


def read_ticket(cursors: Cursors, caller: Identity, ticket: str) -> str:
    """The command's id from the end of such a path. Raises NotFound for one not made for him."""
    try:
        command: str = cursors.read(ticket, "command", caller.tenant, caller.user)
    except Problem as forged:
        raise NotFound(ticket) from forged
    return command
