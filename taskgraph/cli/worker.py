"""``taskgraph worker``: processes that take what was submitted, and run it."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.managed import made_archive, opened_archive
from taskgraph.cli.options import COUNT, ExitCode, load_settings

if TYPE_CHECKING:
    from taskgraph.catalog.criteria import Criteria
    from taskgraph.catalog.worker_rows import Worker

_HELP = """Take what was submitted to queues, and run it.

What one machine submits, another one runs: all that they share is the database. WORKER is a name,
or an id or its first digits.

\b
taskgraph worker start --pool gpu --queues gpu,big
taskgraph submit --queue gpu flow.py main --n 3
taskgraph worker list
taskgraph worker stop gpu-node7
"""


@click.group("worker", help=_HELP, short_help="Take what was submitted to queues, and run it.")
def command() -> None:
    """Hold the commands below ``worker`` together."""


@command.command("start", help="Be a worker, until it is told to stop.")
@click.option("--pool", metavar="NAME", required=True, help="What its pool is called.")
@click.option("--queues", metavar="NAME,...", required=True, help="Which queues it serves.")
@click.option("--name", metavar="NAME", help="What it is called. Default: its pool with its host.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1_000),
    default=1,
    show_default=True,
    help="How many executions it runs at once, and as many calls of others.",
)
@click.option("--import", "modules", metavar="MODULE", multiple=True, help="Import it first.")
@click.option(
    "--script", "scripts", metavar="FILE", multiple=True, help="Load it first, for its tasks."
)
@click.option(
    "--poll",
    type=click.FloatRange(0.01, 3600),
    metavar="SECONDS",
    help="Between two looks whether anything waits. Default: workers.poll.",
)
@click.option("--burst", is_flag=True, help="End when nothing waits any more.")
@click.option(
    "--max-executions", "most", type=COUNT, metavar="N", help="End after so many executions."
)
@click.pass_context
def start(
    ctx: click.Context,
    pool: str,
    queues: str,
    name: str | None,
    concurrency: int,
    modules: tuple[str, ...],
    scripts: tuple[str, ...],
    poll: float | None,
    burst: bool,
    most: int | None,
) -> int:
    """Be a worker."""
    from taskgraph.assembly.databases import has_others
    from taskgraph.cli.policy_sending import find_callbacks
    from taskgraph.errors import ValidationError
    from taskgraph.serving.orders import SlotOrder
    from taskgraph.serving.starting import register, supervisor_of

    settings = load_settings(ctx)
    find_callbacks(settings)  # a policy may name functions of the project
    args = {
        "concurrency": concurrency,
        "burst": burst,
        "max_executions": most,
        "load": [*modules, *scripts],
    }
    with made_archive(ctx) as archive:
        if not has_others(archive.backend):
            raise ValidationError("the database", "it is in memory, where nobody submits anything.")
        made = archive.pools.get_or_create(pool, names_of(queues))
        worker = register(archive.workers, name, made, args)
        order = SlotOrder(
            os.path.abspath(settings.config_dir),
            worker.id,
            worker.name,
            made.id,
            made.queues,
            settings.workers.poll if poll is None else poll,
            burst,
            most,
            modules,
            tuple(os.path.abspath(each) if os.path.isfile(each) else each for each in scripts),
        )
        supervisor = supervisor_of(
            settings,
            archive.backend,
            worker,
            order,
            [sys.executable, "-P", "-m", "taskgraph.cli.slot"],
            concurrency=concurrency,
            say=_say,
        )
        slots = "1 slot" if concurrency == 1 else f"{concurrency} slots"
        _say(f"worker {worker.name} serves {', '.join(made.queues)} with {slots}")
        is_well = supervisor.run()
        _say(f"worker {worker.name} has stopped")
    if not is_well:
        click.echo(f"Error: {supervisor.reason}", err=True)
    return ExitCode.OK if is_well else ExitCode.RUN_FAILED


def _say(line: str) -> None:
    """Write a line with its time, at once: what reads it is often a file."""
    from taskgraph.provenance.page import clean_text

    click.echo(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {clean_text(line)}")
    sys.stdout.flush()


def names_of(text: str) -> list[str]:
    """Return names that are written with commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


@command.command("list", help="List workers by name.")
@click.option("--pool", "pools", metavar="NAME", multiple=True, help="Of this pool.")
@click.option(
    "--status",
    "statuses",
    metavar="STATUS",
    multiple=True,
    help="running, stalled, stopped or rebooting; may be repeated.",
)
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="On this host.")
@click.option("--name", metavar="PART", help="With this in their name, whatever the case.")
@click.option("--filter", "where", metavar="JSON", help="What is meant, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    pools: tuple[str, ...],
    statuses: tuple[str, ...],
    hosts: tuple[str, ...],
    name: str | None,
    where: str | None,
    as_json: bool,
) -> int:
    """Show workers."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.worker_page import no_workers, workers_page

    meant, written = _meant(pools, statuses, hosts, name, where)
    total = 0
    with opened_archive(ctx) as archive:
        found: list[Worker] = []
        if archive is not None:
            found = archive.workers.list(meant)
            total = 0 if found else len(archive.workers.list())
    if as_json:
        click.echo(json.dumps({"workers": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(workers_page(found) if found else no_workers(total, written), sys.stdout)
    return ExitCode.OK


def _meant(
    pools: tuple[str, ...],
    statuses: tuple[str, ...],
    hosts: tuple[str, ...],
    name: str | None,
    where: str | None,
) -> tuple[Criteria, list[str]]:
    """Return which workers are meant, and how that was written."""
    from taskgraph.catalog.criteria import WORKER_FIELDS
    from taskgraph.catalog.reading import parse
    from taskgraph.cli.managed import read_json

    asked: list[dict[str, Any]] = []
    written: list[str] = []
    for key, values in (("pool", pools), ("status", statuses), ("host", hosts)):
        if values:
            asked.append({key: {"any_": list(values)}})
            written += [f"--{key} {each}" for each in values]
    if name is not None:
        asked.append({"name": {"like_": name}})
        written.append(f"--name {name}")
    if where is not None:
        asked.append(read_json(where))
        written.append(f"--filter {where}")
    return parse({"and_": asked} if asked else None, WORKER_FIELDS), written


@command.command("pools", help="List pools: names for sets of queues.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def pools(ctx: click.Context, as_json: bool) -> int:
    """Show pools."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.worker_page import pools_page

    with opened_archive(ctx) as archive:
        found = [] if archive is None else archive.pools.list()
    if as_json:
        click.echo(json.dumps({"pools": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(pools_page(found), sys.stdout)
    return ExitCode.OK


@command.command("stop", help="Ask a worker to stop, on whatever machine it is.")
@click.option("--now", is_flag=True, help="What it runs goes back to its queues.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("worker")
@click.pass_context
def stop(ctx: click.Context, now: bool, as_json: bool, worker: str) -> int:
    """Ask a worker to stop."""
    from taskgraph.errors import WorkerNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise WorkerNotFoundError(worker)
        found = archive.workers.stop(worker, now)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    elif found.status.value == "running":
        how = "at once" if now else "when what it runs has ended"
        click.echo(f"{found.name} stops {how}; it looks every second.")
    else:
        click.echo(f"{found.name} is {found.status.value} already.")
    return ExitCode.OK


@command.command("delete", help="Delete a worker that does not live, or a pool.")
@click.option("--pool", "is_pool", is_flag=True, help="A pool: its workers are of none then.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("name")
@click.pass_context
def delete(ctx: click.Context, is_pool: bool, as_json: bool, name: str) -> int:
    """Delete a worker or a pool."""
    from taskgraph.errors import PoolNotFoundError, WorkerNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise PoolNotFoundError(name) if is_pool else WorkerNotFoundError(name)
        if is_pool:
            archive.pools.delete(name)
        else:
            archive.workers.delete(name)
    what = "pool" if is_pool else "worker"
    click.echo(json.dumps({"deleted": name}) if as_json else f"The {what} {name} was deleted.")
    return ExitCode.OK


__all__ = ["command", "names_of"]
