"""The text of scripts: what runs them, and values in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph import Dir, File, FileSet, StagingFile, task
from taskgraph.expression import Expression
from taskgraph.scripting import prepare_command, quote_shell
from taskgraph.scripting.text import as_given, interpreter_of

HEADER = "#!/usr/bin/env bash\nset -exo pipefail\n"


def test_text_is_dedented_and_has_a_line_that_says_what_runs_it() -> None:
    assert prepare_command("ls") == f"{HEADER}ls"
    assert prepare_command("\n\n    cd a\n      ls\n\n  ") == f"{HEADER}cd a\n  ls"
    assert prepare_command("ls", "#!/bin/sh") == "#!/bin/sh\nls"


def test_text_with_a_line_of_its_own_keeps_it() -> None:
    assert prepare_command("\n    #!/bin/sh\n    ls\n") == "#!/bin/sh\nls"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#!/bin/sh", ["/bin/sh"]),
        ("#! /bin/sh -e", ["/bin/sh", "-e"]),
        ("#!/usr/bin/env python3 -u", ["/usr/bin/env", "python3", "-u"]),
        ("#!/usr/bin/env -S Rscript --vanilla", ["/usr/bin/env", "Rscript", "--vanilla"]),
        ("#!'/opt/my tools/perl' -w", ["/opt/my tools/perl", "-w"]),
        ("#!", []),
    ],
)
def test_the_first_line_names_the_interpreter_and_its_options(line: str, words: list[str]) -> None:
    assert interpreter_of(f"{line}\nprint(1)") == words


@given(st.lists(st.text(st.characters(blacklist_characters="\0", codec="utf-8")), max_size=4))
def test_what_is_quoted_arrives_as_it_was(words: list[str]) -> None:
    script = f"for each in {quote_shell(words)}; do printf '%s\\0' \"$each\"; done"

    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout

    assert said.decode().split("\0")[:-1] == words


def test_files_and_paths_stand_for_their_paths(tmp_path: Path) -> None:
    assert quote_shell(File("a b.txt"), 3, 2.5, "it's") == "'a b.txt' 3 2.5 'it'\"'\"'s'"
    assert quote_shell(Path("a"), Dir("d/"), FileSet("*.txt")) == "a d '*.txt'"
    assert quote_shell(StagingFile("here", "s3://bucket/there")) == "here"
    assert quote_shell([File("a"), [File("b")]], ()) == "a b"


def test_a_path_is_never_an_option_and_text_may_be_one() -> None:
    assert quote_shell(File("-rf"), Path("--all"), "-rf") == "./-rf ./--all -rf"


@pytest.mark.parametrize("value", [None, True, {"a": 1}, b"bytes", object])
def test_what_has_no_form_in_a_command_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be a word of a command"):
        quote_shell(value)


def test_what_is_not_known_yet_is_quoted_later() -> None:
    @task(namespace="text")
    def name() -> str:
        return "a b"

    assert isinstance(quote_shell("x", name()), Expression)
    assert isinstance("cat " + quote_shell(name()), Expression)
    assert repr(quote_shell(name()))
    with pytest.raises(TypeError, match=r"cannot be put into an f-string: add it to the text"):
        f"cat {quote_shell(name())}"


def test_a_command_is_text_or_words() -> None:
    assert as_given("ls") == f"{HEADER}ls"
    assert as_given(("ls", File("a"), 3)) == ["ls", File("a"), 3]
    with pytest.raises(TypeError, match="text, or a list of words, not a bytes"):
        as_given(b"ls")
    with pytest.raises(TypeError, match="cannot be a word"):
        as_given(["ls", None])
    with pytest.raises(ValueError, match="this one is empty"):
        as_given(" \n ")
    with pytest.raises(ValueError, match="at least one word"):
        as_given([])


def test_paths_stay_as_they_are_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert quote_shell(File("x/../y")) == "x/../y"
    assert quote_shell(File(os.path.abspath("z"))) == str(tmp_path / "z")
