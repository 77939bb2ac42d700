"""``taskgraph submit``: write a task down for workers, which run it where they are."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.managed import actor_of, made_archive
from taskgraph.cli.options import ExitCode
from taskgraph.cli.pairs import Pair, TagPair

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.rows import Created, Execution

_HELP = """Write a task down for workers, which run it where they are.

SCRIPT is the path of a Python file or the dotted name of a module, TASK one of its tasks. What
follows are flags made from the task's parameters, as of `taskgraph run`; what they say has to be
JSON: numbers, text, true and false, lists and dicts of such.

\b
taskgraph worker start --pool gpu --queues gpu
taskgraph submit --queue gpu flow.py main --n 3
taskgraph submit --queue gpu --wait flow.py main --n 3
"""
_FIRST_PAUSE: Final = 0.05  # seconds between two looks whether it has ended
_LONGEST_PAUSE: Final = 1.0


@click.command(
    "submit",
    help=_HELP,
    short_help="Write a task down for workers, which run it where they are.",
    options_metavar="[OPTIONS]",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "--queue",
    "queues",
    metavar="NAME",
    multiple=True,
    required=True,
    help="Where it waits for a worker; may be repeated.",
)
@click.option(
    "--priority", type=int, metavar="N", help="What comes first, the smallest. Default: 0."
)
@click.option("--name", metavar="NAME", help="What to call it. Default: the task's name.")
@click.option("--study", metavar="NAME", help="The study that it is part of.")
@click.option("--workspace", metavar="DIR", help="Its folder, which no other execution has.")
@click.option(
    "--idempotency-key", "--key", metavar="KEY", help="Submit the task once under this key."
)
@click.option("--strict", is_flag=True, help="A key that was used for something else is an error.")
@click.option(
    "--tag", "tags", type=TagPair(), multiple=True, metavar="KEY=VALUE", help="A tag of it."
)
@click.option(
    "--option",
    "options",
    type=Pair(),
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of all its tasks, as retries=2; may be repeated.",
)
@click.option("--no-cache", is_flag=True, help="Use no results of before; store as ever.")
@click.option("--wait", is_flag=True, help="Wait for its end, and print what it returns.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("script")
@click.argument("words", metavar="TASK [FLAGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    queues: tuple[str, ...],
    priority: int | None,
    name: str | None,
    study: str | None,
    workspace: str | None,
    idempotency_key: str | None,
    strict: bool,
    tags: tuple[tuple[str, Any], ...],
    options: tuple[tuple[str, Any], ...],
    no_cache: bool,
    wait: bool,
    as_json: bool,
    script: str,
    words: tuple[str, ...],
) -> int:
    """Write an execution down."""
    from taskgraph.catalog.queueing import PRIORITY
    from taskgraph.catalog.requests import SCRIPT
    from taskgraph.catalog.rerunning import NO_CACHE
    from taskgraph.cli.run import read_call, show_tasks
    from taskgraph.cli.workflow import script_as_kept
    from taskgraph.errors import TaskOptionError
    from taskgraph.tasks.options import shared_options

    if not words or words[0] in ("--help", "-h"):
        return show_tasks(ctx, script, is_asked=bool(words))
    with printed_aside():
        call = read_call(ctx, script, words)
    try:
        said: dict[str, Any] = dict(options)
        shared_options("All tasks of this run", said)
    except TaskOptionError as error:
        raise click.UsageError(str(error), ctx) from error
    said[SCRIPT] = script_as_kept(ctx, script)
    if priority is not None:
        said[PRIORITY] = priority
    if no_cache:
        said[NO_CACHE] = True
    with made_archive(ctx) as archive:
        made = archive.executions.create(
            call.task_name,
            parameters_of(call),
            name=name,
            study=study,
            workspace=workspace,
            queues=queues,
            idempotency_key=idempotency_key,
            strict=strict,
            tags=tags,
            options=said,
            submitted_by=actor_of(archive, None, is_forced=False),
        )
        found = made.execution
        if not wait:
            return _tell(archive, made, as_json)
        # Stdout has what it returns.
        _say(archive, made, is_aside=True)
        try:
            found = _ended(archive, found)
        except KeyboardInterrupt:
            click.echo(f"{found.id[:8]} goes on: taskgraph execution show {found.id[:8]}", err=True)
            return ExitCode.INTERRUPTED
        return _tell_end(archive, found, as_json)


def parameters_of(call: Any) -> dict[str, Any]:
    """Return the arguments of a lazy call as JSON.

    Raises:
        ValidationError: One of them is none.
    """
    bound = call._task.binder.signature.bind(*call.args, **call.kwargs)
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        # What is taken as many arguments comes back as many; what is named comes by name.
        kind = bound.signature.parameters[name].kind
        is_many = kind is kind.VAR_POSITIONAL
        plain = list(value) if is_many else value
        reason = _reason(plain)
        if reason is not None:
            from taskgraph.errors import ValidationError

            raise ValidationError(
                f"argument {name!r} of {call.task_name}",
                f"{reason}, which no JSON can say, and that is all a submission keeps. Have the "
                "task take numbers, text, lists or dicts, and make of them what it needs.",
            )
        if kind is kind.VAR_KEYWORD:
            found.update(plain)
        else:
            found[name] = plain
    return found


def _reason(value: Any) -> str | None:
    """Return why a value does not come back from JSON as it was; None if it does."""
    if value is None or type(value) in (bool, int, str):
        return None
    if type(value) is float:
        return None if math.isfinite(value) else f"it is {value}"
    if type(value) is list:
        return next(filter(None, map(_reason, value)), None)
    if type(value) is dict:
        if not all(type(each) is str for each in value):
            return "it is a dict with keys that are no text"
        return next(filter(None, map(_reason, value.values())), None)
    kind = type(value)
    place = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"there is a {place}{kind.__qualname__} in it"


def _tell(archive: Archive, made: Created, as_json: bool) -> int:
    if as_json:
        shown = {"is_new": made.is_new, "is_other": made.is_other}
        click.echo(json.dumps({**made.execution.to_json(), **shown}, indent=2))
    else:
        _say(archive, made, is_aside=False)
    return ExitCode.OK


def _say(archive: Archive, made: Created, *, is_aside: bool) -> None:
    """Say what has become of what was asked for, and whether anybody is there to run it."""
    from taskgraph.catalog.states import StateType

    found = made.execution
    queues = queues_of(found.tags)
    is_waiting = found.state.type is StateType.PENDING or found.state.type is StateType.SCHEDULED
    said = f"waits in {', '.join(queues)}" if is_waiting else f"is {found.state.name}"
    known = "" if made.is_new or made.is_other else ", as it was submitted before"
    click.echo(f"{found.id[:8]} {found.entrypoint} {said}{known}.", err=is_aside)
    if made.is_other:
        click.echo(
            f"Under the key {found.idempotency_key!r} something else was submitted before, which "
            "is this; what you ask for now is not. Take another key for it.",
            err=True,
        )
    if is_waiting and not _is_served(archive, queues):
        first = queues[0] if queues else "NAME"
        click.echo(
            f"No worker serves that now: taskgraph worker start --pool {first} --queues {first}",
            err=True,
        )


def queues_of(tags: Mapping[str, Any]) -> list[str]:
    """Return the queues that an execution was declared for, by its tags."""
    from taskgraph.catalog.rows import QUEUE_TAG

    return [str(each) for each in tags.get(QUEUE_TAG, ())]


def _is_served(archive: Archive, queues: list[str]) -> bool:
    living = archive.workers.list({"status": {"any_": ["running"]}})
    return any(set(each.queues) & set(queues) for each in living)


def _ended(archive: Archive, found: Execution) -> Execution:
    """Return an execution once it has ended."""
    pause = _FIRST_PAUSE
    while found.is_active:
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.2)
        found = archive.executions.get(found.id)
    return found


def _tell_end(archive: Archive, found: Execution, as_json: bool) -> int:
    from taskgraph.cli.run import show_result

    start = found.id[:8]
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    elif found.successful:
        shown = show_result(_result(archive, found))
        if shown is not None:
            click.echo(shown)
    if not found.successful:
        states = archive.executions.states(found)
        why = f": {states[-1].message}" if states and states[-1].message else ""
        click.echo(f"{start} is {found.state.type.value}{why}", err=True)
        click.echo(f"Why: taskgraph log {start}", err=True)
    return ExitCode.OK if found.successful else ExitCode.RUN_FAILED


def _result(archive: Archive, found: Execution) -> Any:
    """Return what an execution returned, as far as that is stored. Any: the user's value."""
    from taskgraph.hashing import CallHash

    job = None if found.job_id is None else archive.backend.get_job(found.job_id)
    if job is None or job.call_hash is None:
        return None
    return archive.backend.get_call_cache(CallHash(job.call_hash))[0]


__all__ = ["command", "parameters_of", "queues_of"]
