"""The help is read on terminals of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click

from taskgraph.cli.main import cli


def every_help(command: click.Command, *path: str) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=" ".join(path), terminal_width=80)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_help(below, *path, name)


def test_no_line_of_the_help_is_broken_by_a_terminal_of_80_columns() -> None:
    wide = {
        (path, each)
        for path, text in every_help(cli, "taskgraph")
        for each in text.splitlines()
        if len(each) > 80
    }

    assert wide == set()
