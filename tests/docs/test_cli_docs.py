"""Every command, option, exit code and setting is documented."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from taskgraph.cli.main import COMMANDS, cli
from taskgraph.cli.options import ExitCode
from taskgraph.config import setting_names
from taskgraph.provenance import explain, views

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command that can be typed, with its words."""
    waiting: list[tuple[str, click.Command]] = [("taskgraph", cli)]
    while waiting:
        words, command = waiting.pop()
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                waiting.append((f"{words} {name}", inner))


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=lambda each: str(each))
def test_each_command_is_documented(words: str, command: click.Command) -> None:
    assert f"`{words}" in PAGE or f"\n{words} " in PAGE


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=lambda each: str(each))
def test_each_option_is_documented(words: str, command: click.Command) -> None:
    options = [name for each in command.params for name in each.opts if name.startswith("-")]

    missing = [name for name in options if f"`{name}`" not in PAGE and f"`{name} " not in PAGE]

    assert missing == []


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_of_commands_says_what_the_commands_say(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.get_short_help_str(limit=200) == COMMANDS[name].help


@pytest.mark.parametrize("code", list(ExitCode))
def test_each_exit_code_is_documented(code: ExitCode) -> None:
    assert f"\n| {int(code)} | " in PAGE


@pytest.mark.parametrize("name", list(setting_names()))
def test_each_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in SETTINGS


def test_each_key_of_json_is_documented() -> None:
    rooms = [*vars(views).values(), *vars(explain).values()]
    kinds = [kind for kind in rooms if dataclasses.is_dataclass(kind)]
    keys = {field.name for kind in kinds for field in dataclasses.fields(kind)}

    missing = [key for key in sorted(keys) if f"`{key}`" not in PAGE]

    assert missing == []


@pytest.mark.parametrize("kind", list(explain.ChangeKind))
def test_each_kind_of_change_is_documented(kind: explain.ChangeKind) -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.count("|") == 3]

    assert any(f"`{kind.value}`" in row for row in rows)
