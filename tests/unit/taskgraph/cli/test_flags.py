"""Flags are made from a task's signature, and what they give is what the annotation says."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph import JobInfo
from taskgraph.cli.flags import Docstring, TaskFlags
from taskgraph.tasks.task import Task
from taskgraph.values.files import File
from taskgraph.values.parsing import parse_value, type_name


class Color(enum.Enum):
    red = 1
    blue = "b"


UserId = NewType("UserId", int)


def flags_of(func: Callable[..., Any]) -> TaskFlags:
    return TaskFlags(Task(func, name=func.__name__, namespace="t"), "taskgraph run flow.py t")


def parse(func: Callable[..., Any], *words: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return flags_of(func).parse(words)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "3", 3),
        (int, "-3", -3),
        (float, "1e-3", 0.001),
        (str, "3", "3"),
        (bool, "TRUE", True),
        (bool, "no", False),
        (Decimal, "1.10", Decimal("1.10")),
        (UUID, "12345678123456781234567812345678", UUID(int=0x12345678123456781234567812345678)),
        (Path, "a/b", Path("a/b")),
        (date, "2026-01-31", date(2026, 1, 31)),
        (datetime, "2026-01-31T12:30+00:00", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        (datetime, "31 Jan 2026 12:30", datetime(2026, 1, 31, 12, 30)),
        (datetime, "Sat, 31 Jan 2026 12:30:00 +0000", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        (Color, "red", Color.red),
        (Color, "Color.blue", Color.blue),
        (Color, "BLUE", Color.blue),
        (Literal["a", 2], "2", 2),
        (Literal["a", 2], "a", "a"),
        (int | None, "none", None),
        (int | None, "4", 4),
        (str | None, "none", "none"),
        (str | int, "4", 4),
        (int | str, "x", "x"),
        (Annotated[int, "note"], "4", 4),
        (UserId, "7", 7),
        (Callable[[str], str], "os.path.basename", __import__("os").path.basename),
        (Callable, "collections.Counter.update", __import__("collections").Counter.update),
        (FunctionType, "posixpath.join", __import__("posixpath").join),
        (Any, "[1, 2]", [1, 2]),
        (Any, "hello", "hello"),
        (dict[str, list[int]], "{'a': [1]}", {"a": [1]}),
    ],
)
def test_text_is_read_as_the_annotation_says(annotation: Any, text: str, value: Any) -> None:
    read = parse_value(annotation, text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        (int, "3.5", "a whole number"),
        (float, "x", "a number"),
        (bool, "maybe", "true or false"),
        (Color, "green", "one of red, blue"),
        (Literal["a", "b"], "c", "one of a, b"),
        (date, "31.1.2026", "2026-01-31"),
        (datetime, "noon", "2026-01-31T12:30"),
        (datetime, "12:30", "2026-01-31T12:30"),  # of which day?
        (datetime, "31 January", "2026-01-31T12:30"),  # of which year?
        (datetime, "9" * 400, "2026-01-31T12:30"),
        (Callable, "os.sep", "not callable"),
        (int | None, "x", "a whole number"),
        (UUID, "x", "a UUID"),
        (Callable, "nowhere.at_all", "module.name"),
        (type(__import__("threading").Lock()), "x", "cannot be made from text"),
    ],
)
def test_text_that_does_not_fit_says_what_was_expected(
    annotation: Any, text: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_value(annotation, text)


def test_a_file_is_read_by_its_kind() -> None:
    read = parse_value(File, "data/x.txt")

    assert isinstance(read, File)
    assert read.path.endswith("data/x.txt")


def test_what_is_not_given_is_not_passed() -> None:
    def main(n: int, name: str = "x", loud: bool = False) -> None: ...

    assert parse(main, "--n", "3") == ((), {"n": 3})


def test_what_is_known_of_the_job_is_no_flag() -> None:
    def func(a: int, job: JobInfo = JobInfo(), *rest: int) -> None: ...

    assert parse(func, "--a", "1") == ((), {"a": 1})
    assert parse(func, "--a", "1", "2") == ((1, JobInfo(), 2), {})
    assert "--job" not in flags_of(func).help()


def test_a_required_flag_is_asked_for() -> None:
    def main(n: int) -> None: ...

    with pytest.raises(click.MissingParameter, match="n"):
        parse(main)


def test_an_unknown_flag_names_the_nearest() -> None:
    def main(max_size: int = 0) -> None: ...

    with pytest.raises(click.NoSuchOption) as caught:
        parse(main, "--max-sise", "3")

    assert caught.value.possibilities == ["--max-size"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--loud"], True),
        (["--no-loud"], False),
        (["--loud", "true"], True),
        (["--loud", "False"], False),
        (["--loud=yes"], True),
        (["--loud=false"], False),
        (["--loud", "--n", "1"], True),
        (["--loud", "--brief", "false"], True),
    ],
)
def test_a_bool_is_a_switch_or_takes_a_truth(words: list[str], value: bool) -> None:
    def main(loud: bool = False, brief: bool = False, n: int = 0) -> None: ...

    assert parse(main, *words)[1]["loud"] is value


def test_a_wrong_truth_is_refused() -> None:
    def main(loud: bool = False) -> None: ...

    with pytest.raises(click.BadParameter, match="true or false"):
        parse(main, "--loud=maybe")


def test_flags_of_containers_are_repeated() -> None:
    def main(
        xs: list[int],
        tags: set[str],
        pairs: tuple[str, ...] = (),
        more: Sequence[float] = (),
        limits: dict[str, int] | None = None,
    ) -> None: ...

    words = "--xs 1 --xs 2 --tags a --tags a --pairs p --more 1 --limits a=1 --limits b=2"
    _, kwargs = parse(main, *words.split())

    assert kwargs == {
        "xs": [1, 2],
        "tags": {"a"},
        "pairs": ("p",),
        "more": [1.0],
        "limits": {"a": 1, "b": 2},
    }


def test_a_tuple_takes_as_many_words_as_it_has_items() -> None:
    def main(box: tuple[int, str]) -> None: ...

    assert parse(main, "--box", "1", "x") == ((), {"box": (1, "x")})


def test_underscores_may_be_dashes() -> None:
    def main(max_size: int) -> None: ...

    assert parse(main, "--max-size", "1") == parse(main, "--max_size", "1")


def test_places_are_kept_for_positional_parameters() -> None:
    def main(first: int, /, second: int, *rest: int, last: int = 0) -> None: ...

    assert parse(main, "--first", "1", "--second", "2", "3", "4", "--last", "5") == (
        (1, 2, 3, 4),
        {"last": 5},
    )


def test_a_parameter_without_annotation_takes_a_literal_or_text() -> None:
    def main(x, y=None):  # type: ignore[no-untyped-def]
        ...

    assert parse(main, "--x", "{'a': 1}", "--y", "plain text") == (
        (),
        {"x": {"a": 1}, "y": "plain text"},
    )


def test_annotations_that_cannot_be_resolved_count_as_none() -> None:
    def main(x: Nowhere, n: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert parse(main, "--x", "a", "--n", "3") == ((), {"x": "a", "n": 3})


def test_help_shows_types_defaults_and_the_docstring() -> None:
    def main(n: int, color: Color = Color.red, out: Path = Path("x")) -> None:
        """Do a thing.

        Args:
            n: How many, and
                then some.
            color: Which one.

        Returns:
            Nothing.
        """

    text = " ".join(flags_of(main).help().split())

    assert "Do a thing." in text
    assert "--n INT How many, and then some. [required]" in text
    assert "--color red|blue Which one. [default: red]" in text
    assert "--out PATH [default: x]" in text
    assert "Nothing." not in text


def test_a_wrong_value_names_the_flag() -> None:
    def main(n: int) -> None: ...

    with pytest.raises(click.BadParameter) as caught:
        parse(main, "--n", "many")

    assert "'--n'" in caught.value.format_message()
    assert "'many': expected a whole number" in caught.value.format_message()


@given(st.integers())
def test_any_integer_comes_back(number: int) -> None:
    assert parse_value(int, str(number)) == number
    assert parse_value(Any, repr(number)) == number


@given(st.text())
def test_text_stays_as_it_is(text: str) -> None:
    assert parse_value(str, text) == text


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_literals_come_back(value: Any) -> None:
    assert parse_value(Any, repr(value)) == value


def test_docstrings_of_any_form_have_a_summary() -> None:
    def main() -> None:
        """Just this
        and that."""

    assert Docstring.of(Task(main, name="main", namespace="t")).summary == "Just this"


def test_type_names_are_short() -> None:
    assert type_name(int | None) == "INT"
    assert type_name(Literal["a", "b"]) == "a|b"
    assert type_name(File) == "FILE"


@given(
    st.datetimes(min_value=datetime(1000, 1, 1)),
    st.sampled_from(["%d %b %Y %H:%M:%S.%f", "%B %d, %Y %H:%M:%S.%f"]),
)
def test_a_time_in_another_notation_is_read_as_it_was(when: datetime, notation: str) -> None:
    assert parse_value(datetime, when.strftime(notation)) == when
    assert parse_value(datetime, when.isoformat()) == when


@given(st.sampled_from(["true", "false"]), st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_truth_is_read_in_any_case(word: str, is_upper: list[bool]) -> None:
    text = "".join(c.upper() if up else c for c, up in zip(word, is_upper, strict=False))
    text += word[len(text) :]

    assert parse_value(bool, text) is (word == "true")
    with pytest.raises(ValueError, match="true or false"):
        parse_value(bool, text + "x")
