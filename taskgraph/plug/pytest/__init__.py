"""Pytest's plug-in: fixtures that are ``@cached`` are kept between test sessions.

Every session on a machine with taskgraph loads this module, so it is light and keeps still: what is
heavy lies in the modules beside it, which are loaded with the first cached fixture. Workers of
pytest-xdist are executions of their own; they send what there is to be told with their results.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from taskgraph.plug.hosts import add_host, remove_host

if TYPE_CHECKING:
    from taskgraph.plug.pytest.notes import Note

_NOTES: pytest.StashKey[list[Note]] = pytest.StashKey()
_TOLD = pytest.StashKey[list[tuple[str, str, str]]]()
_WORD = "not kept"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what taskgraph can be told on pytest's command line."""
    parser.getgroup("taskgraph", "fixtures that are kept (@pytest.fixture with @cached)").addoption(
        "--taskgraph-explain",
        action="store_true",
        help="list each cached fixture at the end: which execution made it and when, or why it "
        "ran: the function, constant, argument or file that changed",
    )


# Decorating


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Be asked what `cached` makes of fixtures, from the first conftest on."""
    add_host(_decorate)


def pytest_unconfigure() -> None:
    """Be asked no more."""
    remove_host(_decorate)


def _decorate(function: Any, decorate: Callable[[Any], Any]) -> Any:
    """Let `cached` stand above ``@pytest.fixture`` too, and let fixtures that yield fail alone.

    Raised while a conftest is loaded, their error would end the whole session.
    """
    if hasattr(function, "_fixture_function_marker"):
        return function._fixture_function_marker(decorate(function._get_wrapped_function()))
    if hasattr(function, "_pytestfixturefunction"):  # before pytest 8.4
        return function._pytestfixturefunction(decorate(function.__pytest_wrapped__.obj))
    if not (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        return None
    loader = function.__globals__.get("__loader__")
    is_of_tests = type(loader).__module__.startswith("_pytest.")
    return _refused(function) if is_of_tests and "<locals>" not in function.__qualname__ else None


def _refused(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> None:
        from taskgraph.errors import YieldFixtureError

        __tracebackhide__ = True
        raise YieldFixtureError(f"{function.__module__}.{function.__qualname__}")

    return refuse


# Running


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Have a fixture be looked up before it is run, if it is a cached one."""
    __tracebackhide__ = True  # it stands in the traceback of each fixture, cached or not
    if "taskgraph.plug.memo" in sys.modules:
        from taskgraph.plug.pytest.fixtures import keep

        keep(fixturedef, request.config, request.config.stash.setdefault(_NOTES, []))
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the execution, and say what became of the fixtures."""
    if "taskgraph.plug.execution" not in sys.modules:
        return
    from taskgraph.plug.pytest.summary import end_session

    config = session.config
    notes = config.stash.setdefault(_NOTES, [])
    told = end_session(notes, config.getoption("taskgraph_explain"))
    if hasattr(config, "workeroutput"):
        config.workeroutput["taskgraph"] = told
    else:
        config.stash.setdefault(_TOLD, []).extend(told)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist says."""
    told = getattr(node, "workeroutput", {}).get("taskgraph", ())
    node.config.stash.setdefault(_TOLD, []).extend(tuple(each) for each in told)


# Telling


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many fixtures were kept; which, and why not, if asked to or if something is wrong."""
    told = config.stash.get(_TOLD, [])
    in_full = config.getoption("taskgraph_explain")
    shown = [each for each in told if in_full or each[0] == _WORD]
    if in_full or shown:
        terminalreporter.write_sep("=", "taskgraph")
    if in_full and not told:
        terminalreporter.write_line("No cached fixture was set up.")
    widths = [max((len(each[at]) for each in shown), default=0) for at in (0, 1)]
    lines = [f"{word:{widths[0]}}  {name:{widths[1]}}  {text}" for word, name, text in shown]
    for line, count in {each: lines.count(each) for each in lines}.items():
        terminalreporter.write_line(line if count == 1 else f"{line}  (x{count})")
    if told and not in_full and terminalreporter.verbosity >= 0:
        words = [word for word, _, _ in told]
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        terminalreporter.write_line(
            f"taskgraph: cached fixtures: {counts} (--taskgraph-explain says why)"
        )
