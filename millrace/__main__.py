"""`python -m millrace`."""

from __future__ import annotations

from millrace.cli import app

app(prog_name="millrace")
