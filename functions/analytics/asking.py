"""What is asked for of a site's events: spans of time, and files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from functions.analytics.exports import Format
from functions.edge.validation import Query, Schema

Moment = Annotated[str, Field(min_length=1, max_length=40, examples=["2030-01-31"])]
FROM = "The first of the site's own days, as a date, or an RFC 3339 time."
TO = "The last day, as a date, or the first moment after, as an RFC 3339 time."


class SpanQuery(Query):
    """Query of what is counted over a span of time."""

    first: Moment = Field(alias="from", description=FROM)
    to: Moment = Field(description=TO)


class NewExport(Schema):
    """Body of POST /v1/sites/{site}/exports."""

    first: Moment = Field(alias="from", description=FROM)
    to: Moment = Field(description=TO)
    format: Format = "csv"
