"""The handler modules that there are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def handler_modules() -> list[str]:
    """Import names of every Lambda function's module."""
    found = sorted(ROOT.glob("functions/*/handlers/*.py"))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in found
        if path.stem != "__init__"
    ]
