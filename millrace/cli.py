"""The operator's bench. All verbs but demo take --json; what does not exist is an error, exit 1."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from typer.core import TyperGroup

from millrace.errors import BenchError
from millrace.terminal import Terminal, ago, counted, readable, table

if TYPE_CHECKING:
    from millrace.api import Api
    from millrace.capability import Capability
    from millrace.deployment import Deployment

# Each verb imports what it needs: `millrace --help` does not wait for boto3.


class Verbs(TyperGroup):
    """Tells what went wrong in one line, and exits with 1."""

    def invoke(self, ctx: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        from functions.kernel.errors import KernelError
        from infra.local.endpoint import LocalError, spare_proxies

        spare_proxies()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read has had enough, which typer knows how to end.
            raise
        except (BenchError, LocalError, KernelError, BotoCoreError, ClientError, OSError) as error:
            print(f"millrace: {error}", file=sys.stderr)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Verbs, help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
stream_verbs = typer.Typer(
    no_args_is_help=True, help="Look into a stream: shortener/<code>, analytics/<site>, or its id."
)
quarantine_verbs = typer.Typer(
    no_args_is_help=True, help="Streams that keep failing and were set aside."
)
app.add_typer(stream_verbs, name="stream")
app.add_typer(quarantine_verbs, name="quarantine")
import_verbs = typer.Typer(no_args_is_help=True, help="Move in from elsewhere, over HTTP.")
export_verbs = typer.Typer(no_args_is_help=True, help="Move out, over HTTP.")
app.add_typer(import_verbs, name="import")
app.add_typer(export_verbs, name="export")
rules_verbs = typer.Typer(
    no_args_is_help=True, help="Rate limits: try rules on recorded traffic, publish, activate."
)
app.add_typer(rules_verbs, name="rules")

Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of words.")]
Name = Annotated[str, typer.Argument(metavar="CAPABILITY", help="Such as shortener.")]
StreamName = Annotated[str, typer.Argument(metavar="STREAM", help="shortener/<code>, or an id.")]
Moment = Annotated[str, typer.Argument(metavar="VERSION|TIME", help="Such as 3 or RFC 3339.")]
Url = Annotated[
    str | None,
    typer.Option("--url", envvar="MILLRACE_URL", help="The API's base; else the emulator's."),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="MILLRACE_TOKEN",
        help="Better in the variable: arguments are seen by others. Else one of --user.",
    ),
]
User = Annotated[str, typer.Option(help="Whose links, on an emulator and without a token.")]
RulesFile = Annotated[
    Path,
    typer.Argument(metavar="RULES_FILE", exists=True, dir_okay=False, help="YAML or JSON."),
]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=1)]
OPERATOR = "operator"
OPS = {"scopes": "ops ratelimiter:read"}


class Target:
    """Which deployment the verbs are about; looked up when the first of them asks."""

    def __init__(self, endpoint: str | None, aws: bool, stack: str) -> None:
        from infra.local.endpoint import checked

        if endpoint and aws:
            raise BenchError("--endpoint and --aws exclude each other")
        if aws and (elsewhere := os.environ.get("AWS_ENDPOINT_URL")):
            raise BenchError(f"--aws would go to AWS_ENDPOINT_URL, {elsewhere}: unset it")
        self.aws = aws
        self.stack = stack
        self._endpoint = checked(endpoint) if endpoint else None

    @property
    def endpoint(self) -> str:
        """The emulator's. Raises BenchError for AWS."""
        from millrace.local import own_endpoint

        if self.aws:
            raise BenchError(
                "this is for emulators; on AWS, ask the stack's outputs and its issuer"
            )
        return self._endpoint or own_endpoint()

    @property
    def deployment(self) -> Deployment:
        from millrace.deployment import on_aws, on_endpoint

        return on_aws(self.stack) if self.aws else on_endpoint(self.endpoint, self.stack)

    def require_own(self) -> None:
        """Raises BenchError unless this is the emulator on MILLRACE_PORT."""
        from infra.local.stack import NAME
        from millrace.local import own_endpoint

        if self.aws or self.stack != NAME or self._endpoint not in (None, own_endpoint()):
            raise BenchError(
                f"this is for the emulator at {own_endpoint()}, and for stack {NAME} on it: "
                "MILLRACE_PORT chooses another"
            )

    def api(
        self,
        url: str | None,
        token: str | None,
        user: str,
        claims: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Api:
        """The HTTP API at `url`; without one that of the emulator, as `user` with `claims` if
        without token."""
        from millrace import local
        from millrace.api import connect

        if url is None and self.aws:
            raise BenchError("say --url: the stack's output ApiUrl, or your own domain's")
        if token is None and url is not None:
            raise BenchError(f"a token for {url} is wanted: set MILLRACE_TOKEN")
        return connect(
            url or local.url(self.endpoint, self.stack),
            token or local.token_for(self.endpoint, self.stack, user, claims),
        )


@app.callback()
def target(
    context: typer.Context,
    endpoint: Annotated[
        str | None,
        typer.Option(help="A LocalStack-compatible endpoint; else the emulator on MILLRACE_PORT."),
    ] = None,
    aws: Annotated[bool, typer.Option("--aws", help="The account of your credentials.")] = False,
    stack: Annotated[str, typer.Option(help="The CloudFormation stack's name.")] = "millrace",
) -> None:
    # Tests hand in a deployment of their own.
    context.obj = context.obj or Target(endpoint, aws, stack)


def _deployment(context: typer.Context) -> Deployment:
    deployment: Deployment = (
        context.obj.deployment if isinstance(context.obj, Target) else context.obj
    )
    return deployment


def _capability(context: typer.Context, name: str) -> Capability:
    from millrace.capability import find

    return find(name, _deployment(context))


# ---- Run it -----------------------------------------------------------------------------------


@app.command()
def up(context: typer.Context, as_json: Json = False) -> None:
    """Start the emulator on MILLRACE_PORT, build, deploy, say what to call."""
    from millrace import local

    context.obj.require_own()
    Terminal(as_json).show(local.up(quiet=as_json))


@app.command()
def down(context: typer.Context, as_json: Json = False) -> None:
    """Stop what `up` started on MILLRACE_PORT."""
    from millrace import local

    context.obj.require_own()
    done = local.down()
    said = "stopped" if done["stopped"] else "nothing to stop"
    Terminal(as_json).show(done, f"{said} on port {done['port']}")


@app.command()
def deploy(
    context: typer.Context,
    parameters: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    as_json: Json = False,
) -> None:
    """Deploy what is on disk: to the emulator, to --endpoint, or with --aws by `sam deploy`."""
    from millrace import local

    endpoint = None if context.obj.aws else context.obj.endpoint
    done = local.deploy(endpoint, context.obj.stack, parameters or [], quiet=as_json)
    Terminal(as_json).show(done)


@app.command()
def url(context: typer.Context, as_json: Json = False) -> None:
    """Print the API's base URL."""
    from millrace import local

    found = local.url(context.obj.endpoint, context.obj.stack)
    Terminal(as_json).show({"url": found}, found) if as_json else print(found)


@app.command()
def token(
    context: typer.Context,
    user: Annotated[str, typer.Argument()] = "demo",
    tenant: str | None = None,
    tier: str | None = None,
    scopes: str | None = None,
    as_json: Json = False,
) -> None:
    """Print a JWT of a user, who is made if new."""
    from millrace import local

    claims = {"tenant": tenant, "tier": tier, "scopes": scopes}
    issued = local.token_for(context.obj.endpoint, context.obj.stack, user, claims)
    # Never through rich, which would wrap it.
    Terminal(as_json).show({"user": user, "token": issued}) if as_json else print(issued)


# ---- Look into it -----------------------------------------------------------------------------


@stream_verbs.command("show")
def stream_show(context: typer.Context, stream: StreamName, as_json: Json = False) -> None:
    """Every event of a stream."""
    from millrace.streams import events, locate

    capability, found = locate(_deployment(context), stream)
    entries = list(events(capability, found))
    Terminal(as_json).show(
        {"stream": found, "events": entries},
        f"[bold]{escape(found)}[/bold]  {counted(len(entries), 'event')}",
        *map(_event, entries),
    )


def _event(entry: dict[str, Any]) -> str:
    """An event as markup: its line, and one for each field."""
    head = f"\n{entry['version']:>4}  [bold]{entry['type']}[/bold]  {entry['at']}"
    lines = [f"      {name:<16} {escape(readable(name, v))}" for name, v in entry["data"].items()]
    return "\n".join([head + f"  by {escape(str(entry['actor']))}", *lines])


@stream_verbs.command("at")
def stream_at(
    context: typer.Context, stream: StreamName, moment: Moment, as_json: Json = False
) -> None:
    """The state of a stream at a version or a time."""
    from millrace.streams import at, locate

    then = at(*locate(_deployment(context), stream), moment)
    place = f"version {then['version']} of {then['of']}, {then['at']}"
    Terminal(as_json).show(
        then,
        f"[bold]{escape(then['stream'])}[/bold]  {place}",
        table(
            "field",
            "value",
            rows=[(name, readable(name, value)) for name, value in then["state"].items()],
        ),
    )


@stream_verbs.command("diff")
def stream_diff(
    context: typer.Context, stream: StreamName, before: Moment, after: Moment, as_json: Json = False
) -> None:
    """The fields that differ between two versions or times."""
    from millrace.streams import diff, locate

    found = diff(*locate(_deployment(context), stream), before, after)
    rows = [
        (name, readable(name, pair["from"]), readable(name, pair["to"]))
        for name, pair in found["changed"].items()
    ]
    Terminal(as_json).show(
        found,
        f"[bold]{escape(found['stream'])}[/bold]  version {found['from']} to {found['to']}",
        table("field", "from", "to", rows=rows) if rows else "nothing changed",
    )


@app.command()
def lag(context: typer.Context, capability: Name, as_json: Json = False) -> None:
    """How far the views are behind. Reads the whole log: costs what a sweep costs."""
    from millrace.lagging import lag as measure

    found = measure(_capability(context, capability))
    rows = [
        (
            f"{view.view}@{view.generation}",
            view.streams,
            view.behind,
            "-" if view.oldest is None else f"{ago(found.now - view.oldest)}  {view.oldest_stream}",
            "-" if view.building is None else f"generation {view.building}",
        )
        for view in found.views
    ]
    counts = [*found.queues.items(), ("in quarantine", found.quarantined)]
    Terminal(as_json).show(
        asdict(found),
        table(
            *("view", "streams", "behind", "oldest", "building"),
            rows=rows,
            right=["streams", "behind"],
        ),
        "",
        table("waiting", "messages", rows=counts, right=["messages"]),
    )


# ---- Mend it ----------------------------------------------------------------------------------


@app.command()
def replay(
    context: typer.Context,
    capability: Name,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="Such as links.")],
    wait: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for projectors under way; else their time-out."),
    ] = None,
    site: Annotated[
        str | None, typer.Option(help="With analytics rollups: an id, or link:<domain>/<code>.")
    ] = None,
    day: Annotated[
        str | None, typer.Option(help="With analytics rollups: YYYY-MM-DD, in UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="The last day; else --day alone.")] = None,
    as_json: Json = False,
) -> None:
    """Build a view anew beside the one that is read, verify it, then read it; or, of analytics,
    the rollups of a site's days from its ledger, while it goes on counting."""
    from millrace.rebuilding import CAPABILITY, ROLLUPS

    if (capability, view) == (CAPABILITY, ROLLUPS):
        if site is None or day is None:
            raise BenchError("rollups are built by site and day: say --site and --day")
        _rebuild(_deployment(context), site, (day, until or day), wait, Terminal(as_json))
        return
    if (site, day, until) != (None, None, None):
        raise BenchError(f"{view} is built whole: --site, --day and --until are for rollups")
    _replay(_capability(context, capability), view, wait, Terminal(as_json))


def _rebuild(
    deployment: Deployment,
    site: str,
    days: tuple[str, str],
    wait: float | None,
    terminal: Terminal,
) -> None:
    from millrace.rebuilding import Rebuilding, Watcher

    with terminal.progress() as bar:
        task = bar.add_task("hours read and rolled up", total=None)
        watcher = Watcher(
            waiting=lambda left: bar.update(
                task, description=f"waiting {left:.0f} s until all know what is declared"
            ),
            total=lambda steps: bar.update(task, total=steps),
            step=lambda: bar.update(task, description="hours read and rolled up", advance=1),
        )
        done = Rebuilding(deployment, site).run(*days, wait, watcher)
    terminal.show(
        asdict(done),
        f"[green]✓[/green] {escape(site)}: {counted(len(done.days), 'day')} built anew, "
        f"{counted(done.hours, 'hour')}, {counted(done.rows, 'row')} written",
    )


def _replay(found: Capability, view: str, wait: float | None, terminal: Terminal) -> None:
    from functions.edge.validation import to_text
    from functions.kernel.replay import NotVerified
    from millrace.replaying import Watcher
    from millrace.replaying import replay as run

    with terminal.progress() as bar:
        task = bar.add_task("waiting for projectors under way", total=None)
        watcher = Watcher(
            waiting=lambda left: bar.update(
                task, description=f"waiting {left:.0f} s for projectors under way"
            ),
            verified=lambda streams: bar.update(
                task, description="streams verified", advance=streams
            ),
        )
        try:
            done = run(found, found.view(view), wait, watcher)
        except NotVerified as error:
            streams = sorted(error.streams)
            terminal.show(
                {"view": view, "not_verified": streams},
                f"[red]not verified[/red]: {view} goes on being read in its old generation. "
                "Once these can be rendered, run it again:",
                *map(escape, streams),
            )
            raise typer.Exit(1) from error
    terminal.show(
        {**asdict(done), "drop_from": to_text(done.drop_from)},
        *(["took up the replay that was under way"] if done.resumed else []),
        f"[green]✓[/green] {done.view}@{done.generation} is read now: "
        f"{counted(done.verified, 'stream')} verified in this run",
        f"  {done.view}@{done.retired} is kept for readers until {to_text(done.drop_from)}; "
        "the first sweep after that drops it",
    )


@app.command()
def republish(context: typer.Context, capability: Name, as_json: Json = False) -> None:
    """Tell the newest of every stream again, for a consumer that was deployed later."""
    from millrace.republishing import republish as run

    found = _capability(context, capability)
    terminal = Terminal(as_json)
    with terminal.progress() as bar:
        task = bar.add_task("streams told", total=None)
        done = run(found, lambda streams: bar.advance(task, streams))
    terminal.show(
        asdict(done),
        f"{counted(done.streams, 'stream')} of {capability} told again",
        *(escape(f"{stream}: {error}") for stream, error in done.failed.items()),
    )
    if done.failed:
        raise typer.Exit(1)


@app.command()
def sweep(context: typer.Context, capability: Name, as_json: Json = False) -> None:
    """Run the deployed sweep once: every stream whose row is behind is rung."""
    from millrace.capability import find

    deployment = _deployment(context)
    run = _swept(deployment, find(capability, deployment).logical("Sweep"), {})
    Terminal(as_json).show(run, *_runs(run))


def _swept(deployment: Deployment, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """A run of what goes over everything, and how far it came."""
    line = deployment.invoke(function, event)
    return {
        "function": function,
        "checked": line.get("checked"),
        "rung": line.get("swept_streams", line.get("swept_buckets", 0)),
        "to_retry_queue": line.get("retried_streams", 0),
        "dropped_rows": line.get("dropped_rows", 0),
        "complete": line.get("complete"),
        "duration_ms": line.get("duration_ms"),
    }


def _runs(*runs: dict[str, Any]) -> list[Any]:
    """Runs in words, beside each other."""
    _, *figures = runs[0]
    functions = [run["function"] for run in runs]
    late = [run["function"] for run in runs if not run["complete"]]
    return [
        table(
            "",
            *functions,
            rows=[(name, *(run[name] for run in runs)) for name in figures],
            right=functions,
        ),
        *(f"the time of {function} ran out: the next run goes on from there" for function in late),
    ]


@app.command()
def redrive(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(help="Such as ShortenerRetry; its Dlq is emptied.")],
    from_logs: Annotated[
        bool, typer.Option("--from-logs", help="Send the clicks or denials that only the log has.")
    ] = False,
    since: Annotated[str, typer.Option(help="With --from-logs: how far back, as in 30m.")] = "1h",
    as_json: Json = False,
) -> None:
    """Move every dead letter back to its queue, or --from-logs send what never came to it."""
    from millrace.redriving import DLQ, UNDELIVERED, DeadLetters, sweeps_of

    deployment, terminal = _deployment(context), Terminal(as_json)
    if from_logs:
        _send_lost(deployment, queue, since, terminal)
        return
    if queue.endswith(UNDELIVERED):
        deployment.physical(queue)
        runs = [_swept(deployment, *sweep) for sweep in sweeps_of(queue)]
        terminal.show({"runs": runs}, NO_RECORDS, *_runs(*runs))
        return
    name = queue.removesuffix(DLQ)
    letters = DeadLetters(
        deployment.client("sqs"),
        deployment.physical(name + DLQ),
        deployment.physical(name),
        deployment.poll_seconds,
    )
    with terminal.progress() as bar:
        task = bar.add_task("moved", total=letters.waiting() or None)
        moved = letters.move(lambda number: bar.advance(task, number))
    left = letters.waiting()
    terminal.show(
        {"from": name + DLQ, "to": name, "moved": moved, "left": left},
        f"{counted(moved, 'message')} moved from {name + DLQ} to {name}"
        + (f"; {left} left, somebody else holds them: run it again" if left else ""),
    )
    if left and not moved:
        raise typer.Exit(1)


def _send_lost(deployment: Deployment, queue: str, since: str, terminal: Terminal) -> None:
    from functions.edge.validation import to_text
    from millrace.redriving import LOST, LostMessages, seconds_of

    kind = next((kind for kind in LOST if queue.endswith(kind)), None)
    if kind is None:
        raise BenchError(
            f"only clicks and denials are in the log: say ShortenerClicks or RatelimiterDenials, "
            f"not {queue}"
        )
    begin = time.time_ns() // 1_000_000 - seconds_of(since) * 1000
    lost = LostMessages(
        deployment.client("logs"),
        deployment.physical(queue.removesuffix(kind) + "Logs"),
        LOST[kind],
        deployment.client("sqs"),
        deployment.physical(queue),
    )
    with terminal.progress() as bar:
        task = bar.add_task("sent", total=None)
        sent = lost.send(begin, lambda number: bar.advance(task, number))
    terminal.show(
        {"from": lost.group, "to": queue, "since": to_text(begin), "sent": sent},
        f"{counted(sent, 'message')} of the last {since} sent from {lost.group} to {queue}",
    )


NO_RECORDS = (
    "Its messages name batches of a stream, or runs of a schedule, that were given up, and hold no "
    "records: there is nothing to send back. What was run here instead rings all that such a batch "
    "may have been about; a schedule runs again by itself. They stay until they expire or are "
    "purged.\n"
)


@quarantine_verbs.command("list")
def quarantine_list(context: typer.Context, capability: Name, as_json: Json = False) -> None:
    """The streams that were set aside, the oldest first."""
    from functions.edge.validation import to_text

    aside = _capability(context, capability).quarantine.all()
    rows = [(e.stream, e.view, e.error, e.failures, to_text(e.first_seen)) for e in aside]
    columns = ("stream", "view", "error", "failures", "first seen")
    Terminal(as_json).show(
        [{**each._asdict(), "first_seen": to_text(each.first_seen)} for each in aside],
        table(*columns, rows=rows, right=["failures"]) if rows else "no stream is in quarantine",
    )


@quarantine_verbs.command("release")
def quarantine_release(
    context: typer.Context,
    capability: Name,
    stream: Annotated[str | None, typer.Argument(help="A stream's id, or <code>.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every one that renders.")] = False,
    as_json: Json = False,
) -> None:
    """Ring streams that were set aside, and release those that can be rendered again."""
    from millrace.releasing import release

    if (stream is None) != everything:
        raise BenchError("name one stream, or say --all")
    done = release(_capability(context, capability), stream)
    rows = [(name, "released" if error is None else f"stays: {error}") for name, error in done]
    Terminal(as_json).show(
        [{"stream": name, "released": error is None, "error": error} for name, error in done],
        table("stream", "", rows=rows) if rows else "no stream is in quarantine",
    )
    if any(error is not None for _, error in done):
        raise typer.Exit(1)


# ---- Move in and out --------------------------------------------------------------------------


@import_verbs.command("shortener")
def import_shortener(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    source: Annotated[
        Literal["yourls", "shlink", "kutt", "millrace"],
        typer.Option("--from", help="What wrote the file."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")
    ] = False,
    domain: Annotated[
        str | None,
        typer.Option(help="Where all links go, `default` for the stack's own; else as they were."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file for what became of each row, as NDJSON."),
    ] = None,
    base_url: Url = None,
    token: Token = None,
    user: User = "demo",
    as_json: Json = False,
) -> None:
    """Create the links of an export. What is there stays; run again, it creates what is missing."""
    from millrace.importing import Import, Report, decoded, written

    terminal = Terminal(as_json)
    api = None if dry_run else context.obj.api(base_url, token, user)
    run = Import(source, domain, time.time_ns() // 1_000_000)
    with written(report, file) as lines, terminal.progress() as bar:
        told = Report(lines)
        task = bar.add_task("reading", total=None)
        planned = list(run.plan(decoded(file.read_bytes())))
        bar.update(task, description="rows", total=len(planned))
        try:
            for outcome in run.outcomes(planned, api):
                told.add(outcome)
                bar.advance(task)
        finally:
            # What was done before an interruption is told as well.
            bar.stop()
            terminal.show({"source": source, "dry_run": dry_run, **told.document()}, *told.words())
    if told.missing:
        raise typer.Exit(1)


@export_verbs.command("shortener")
def export_shortener(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", dir_okay=False)] = None,
    form: Annotated[
        Literal["ndjson", "csv"], typer.Option("--format", help="Only NDJSON can be moved in.")
    ] = "ndjson",
    base_url: Url = None,
    token: Token = None,
    user: User = "demo",
    as_json: Json = False,
) -> None:
    """Write all links of a user, the newest first, to a file or standard output."""
    from millrace.exporting import export, replacing

    if as_json and file is None:
        raise BenchError("--json tells about a file: name one")
    terminal = Terminal(as_json)
    api = context.obj.api(base_url, token, user)
    with terminal.progress() as bar:
        task = bar.add_task("links", total=None)

        def moved(links: int) -> None:
            bar.advance(task, links)

        if file is None:
            export(api, sys.stdout, form, moved)
            return
        with replacing(file) as out:
            links = export(api, out, form, moved)
    terminal.show(
        {"file": str(file), "links": links}, f"{counted(links, 'link')} in {escape(str(file))}"
    )


# ---- Rate limits ------------------------------------------------------------------------------


@rules_verbs.command("test")
def rules_test(
    context: typer.Context,
    rules: RulesFile,
    traffic: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="A recording: .ndjson, .jsonl or .csv."),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(metavar="active|FILE", help="What to compare with: what holds, or a file."),
    ] = None,
    limit_to: Annotated[int | None, typer.Option(min=1, help="So many requests, no more.")] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Exit 1 where more are denied."),
    ] = None,
    base_url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Try rules on recorded traffic, in memory: what they would have denied, and whom.

    \b
    A request of the recording is a line of NDJSON or a row of CSV:
      at         RFC 3339, or epoch milliseconds; lines in its order
      endpoint   the path, such as /api/search
      method     GET if left out
      user, ip, api_key, tenant, headers
                 whose it is: one at least; headers are an object of names
      tier       free if left out
      cost       1 if left out
    As in {"at": "2026-11-21T12:00:00Z", "endpoint": "/api/login", "method": "POST",
    "ip": "203.0.113.7"}. Logs of checks hold nobody's name: record from your own access log. It
    does not tell how long requests took, so rules of concurrency are left out.
    """
    from millrace.recordings import lines_in, rules_in, rules_of, traffic_in
    from millrace.trial import run

    terminal, tried = Terminal(as_json), rules_in(rules)
    before = tried
    if baseline == "active":
        before = rules_of(_rules_api(context, base_url, token).rules())
    elif baseline is not None:
        before = rules_in(_existing(baseline))
    with terminal.progress() as bar:
        total = min(lines_in(traffic), limit_to or sys.maxsize)
        recorded = bar.track(traffic_in(traffic, limit_to), total, description="requests decided")
        outcome = run(tried, before, recorded)
    data = {**outcome.document(), "baseline": baseline}
    terminal.show(data, *_outcome(data))
    if fail_above is not None and outcome.share * 100 > fail_above:
        raise typer.Exit(1)


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise BenchError(f"--baseline {name}: is neither active nor a file")
    return path


def _outcome(data: dict[str, Any]) -> list[Any]:
    """A trial's outcome in words."""
    compared = ("newly denied",) if data["baseline"] else ()
    numbers = ("requests", "allowed", "denied", "share", *compared, "left at least")
    rows = [
        (
            each["rule"] + (" (shadow)" if each["shadow"] else ""),
            *(each["fit"], each["allowed"], each["denied"], _percent(each["share"])),
            *([each["newly_denied"]] if compared else []),
            "-" if each["least_remaining"] is None else each["least_remaining"],
            ", ".join(f"{most['identity']}: {most['denied']}" for most in each["most_denied"]),
        )
        for each in data["rules"]
    ]
    said = f"{data['requests']} requests, {data['denied']} denied: {_percent(data['share'])}"
    if compared:
        said += f"; {data['newly_denied']} newly denied, {data['newly_allowed']} newly allowed"
    late = data["out_of_order"]
    return [
        table("rule", *numbers, "most denied", rows=rows, right=numbers),
        "",
        said,
        *([f"{late} lines are older than one before: sort the recording by at"] if late else []),
    ]


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


@rules_verbs.command("put")
def rules_put(
    context: typer.Context,
    rules: RulesFile,
    base_url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Publish the rules in a file as the next version, which holds once it is activated."""
    from millrace.recordings import document, rules_in

    rules_in(rules)
    shown = _rules_api(context, base_url, token).publish_rules(document(rules))
    said = f"version {shown['version']} is published: `millrace rules activate {shown['version']}`"
    Terminal(as_json).show(shown, said)


@rules_verbs.command("activate")
def rules_activate(
    context: typer.Context,
    version: Version,
    base_url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Have a version hold, an earlier one too; everywhere within half a minute."""
    shown = _rules_api(context, base_url, token).activate_rules(version)
    Terminal(as_json).show(shown, f"version {shown['active']} holds")


@rules_verbs.command("show")
def rules_show(
    context: typer.Context,
    version: Annotated[int | None, typer.Argument(metavar="[VERSION]", min=1)] = None,
    base_url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """The rules of a version, else those that hold."""
    shown = _rules_api(context, base_url, token).rules(version)
    rows = [
        (
            each["name"] + (" (shadow)" if each["shadow"] else ""),
            f"{each['limit']} in {each['window']} s",
            each["algorithm"],
            " ".join([*each["methods"], each["endpoint"]]),
            ", ".join(each["identifiers"]),
            each["tier"] or "any",
        )
        for each in shown["rules"]
    ]
    columns = ("rule", "limit", "algorithm", "of", "by", "tier")
    Terminal(as_json).show(shown, _standing(shown), table(*columns, rows=rows) if rows else "")


def _standing(shown: dict[str, Any]) -> str:
    """Which version is shown, and which holds."""
    number, active, newest = shown["version"], shown["active"], len(shown["versions"])
    if not newest:
        return "nothing is published yet"
    if active is None:
        holds = "nothing holds yet"
    else:
        holds = "it holds" if number == active else f"version {active} holds"
    return f"version {number or '-'} ({newest} kept); {holds}"


def _rules_api(context: typer.Context, url: str | None, token: str | None) -> Api:
    """The API as an operator, on an emulator and without a token."""
    api: Api = context.obj.api(url, token, OPERATOR, OPS)
    return api


# ---- Show it ----------------------------------------------------------------------------------


@app.command()
def demo(
    plain: Annotated[bool, typer.Option("--plain", help="No colours, whatever the tty.")] = False,
) -> None:
    """The life of one link, in process, with the bill of each step."""
    # It stands on the tests' in-process stack, which only a checkout has.
    from millrace.demo import tell

    tell(plain)
