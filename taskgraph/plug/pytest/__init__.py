"""Pytest's plug-in: fixtures that are ``@cached`` are kept between test sessions.

With ``--taskgraph-replay`` recorded calls are tests of the code of now.

Every session on a machine with taskgraph loads this module, so what is heavy is loaded later, with
the first cached fixture. Workers of pytest-xdist are executions of their own, and send their notes.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskgraph.plug.hosts import add_host, refused, remove_host

if TYPE_CHECKING:
    from taskgraph.plug.keeping import KeptCall
    from taskgraph.plug.memo import Cached
    from taskgraph.plug.telling import Note

_FOLDER = pytest.StashKey[Path]()
_NOTES: pytest.StashKey[list[Note]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what taskgraph can be told on pytest's command line."""
    group = parser.getgroup("taskgraph", "fixtures that are kept, and recorded calls as tests")
    group.addoption(
        "--taskgraph-replay",
        nargs="*",
        metavar="TASK",
        help="make recorded calls again with the code of now, each as a test that fails if its "
        "result changed: those of the tasks whose code changed, or of these tasks; nothing is "
        "recorded. Tasks with files, handles, scripts or limits are skipped",
    )
    group.addoption(
        "--taskgraph-replay-calls",
        type=int,
        default=20,
        metavar="N",
        help="so many recorded calls of each task, at most (default: 20)",
    )
    group.addoption(
        "--taskgraph-replay-all",
        action="store_true",
        help="make also those calls again that are known to do more than return a value",
    )
    group.addoption(
        "--taskgraph-explain",
        action="store_true",
        help="list each cached fixture at the end: which execution made it and when, or why it "
        "ran: the function, constant, argument or file that changed",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Be asked what `cached` makes of fixtures, from the first conftest to the end."""
    add_host(_decorate)
    early_config.add_cleanup(lambda: remove_host(_decorate))


def _decorate(function: Any, decorate: Callable[[Any], Any]) -> Any:
    """Let `cached` stand above ``@pytest.fixture`` too, and let fixtures that yield fail alone."""
    if hasattr(function, "_fixture_function_marker"):
        return function._fixture_function_marker(decorate(function._get_wrapped_function()))
    if hasattr(function, "_pytestfixturefunction"):  # before pytest 8.4
        return function._pytestfixturefunction(decorate(function.__pytest_wrapped__.obj))
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    loader = getattr(function, "__globals__", {}).get("__loader__")
    is_of_tests = type(loader).__module__.startswith("_pytest.")
    if not (yields and is_of_tests) or "<locals>" in function.__qualname__:
        return None
    from taskgraph.errors import YieldFixtureError

    return refused(function, YieldFixtureError)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Have a fixture be looked up before it is run, if it is a cached one."""
    __tracebackhide__ = True  # it stands in the traceback of each fixture, cached or not
    func = fixturedef.func
    own = getattr(func, "__func__", func)
    kind = getattr(sys.modules.get("taskgraph.plug.memo"), "Cached", None)
    if kind is not None and isinstance(own, kind):
        made = _kept(own, request.config)
        fixturedef.func = made if own is func else made.__get__(func.__self__)
    return (yield)


def _kept(cached: Cached[..., Any], config: pytest.Config) -> Callable[..., Any]:
    """Return what looks a cached fixture up, or runs it, and notes what became of it."""
    from taskgraph.config import find_config_dir
    from taskgraph.errors import FixtureNotKeptWarning
    from taskgraph.plug.keeping import NOT_KEPT
    from taskgraph.plug.stand_ins import lenient
    from taskgraph.plug.telling import note_of

    def note(call: KeptCall) -> None:
        config.stash.setdefault(_NOTES, []).append(note_of(cached.fullname, call))
        if call.word == NOT_KEPT:
            warning = FixtureNotKeptWarning(cached.fullname, call.text, call.advice)
            code = inspect.unwrap(cached).__code__
            warnings.warn_explicit(warning, None, code.co_filename, code.co_firstlineno)

    # Once and for all: tests may change the working directory.
    nearest = find_config_dir(start=config.invocation_params.dir, otherwise=config.rootpath)
    folder = cached.config_dir or config.stash.setdefault(_FOLDER, nearest)
    return lenient(cached, _given, tell=note, config_dir=folder)


def _given(name: str, value: Any) -> Any:
    """Return what a cached fixture is given as an argument, all of which counts."""
    if name == "request":
        return KeptRequest(value)
    if name in ("tmp_path", "tmpdir") or type(value).__module__.startswith("_pytest."):
        raise TypeError("belongs to this session")
    return value


class KeptRequest:
    """What a cached fixture sees of ``request``: its ``param``, which counts, and nothing else."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        if hasattr(request, "param"):
            self.param = request.param

    def __getattr__(self, name: str) -> Any:
        from taskgraph.errors import FixtureRequestError

        raise FixtureRequestError(name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the execution; a worker of pytest-xdist sends its notes."""
    if "taskgraph.plug.execution" in sys.modules:
        from taskgraph.plug.telling import end_session

        notes = session.config.stash.setdefault(_NOTES, [])
        end_session(notes)
        getattr(session.config, "workeroutput", {})["taskgraph"] = list(map(tuple, notes))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the notes of a worker of pytest-xdist."""
    notes = getattr(node, "workeroutput", {}).get("taskgraph", ())
    node.config.stash.setdefault(_NOTES, []).extend(notes)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add recorded calls as tests, now that the modules with the tasks are loaded."""
    words = session.config.getoption("taskgraph_replay")
    if words is not None:
        from taskgraph.plug.pytest.replay import add_replays

        add_replays(session, items, words, session.config.getoption("taskgraph_replay_calls"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many fixtures were kept; which, and why not, if asked to or if something is wrong."""
    in_full, notes = config.getoption("taskgraph_explain"), config.stash.get(_NOTES, [])
    if config.getoption("taskgraph_replay") is not None:
        from taskgraph.plug.pytest.replay import told as told_of_replays

        if replays := told_of_replays(config):
            terminalreporter.write_sep("=", "taskgraph replay")
            terminalreporter.write_line("\n".join(replays))
    lines = ["No cached fixture was set up."] if in_full else []
    if notes:
        from taskgraph.plug.telling import counted, told

        lines = told(notes, in_full=in_full)
    if lines:
        terminalreporter.write_sep("=", "taskgraph")
        terminalreporter.write_line("\n".join(lines))
    if notes and not in_full and terminalreporter.verbosity >= 0:
        counts = f"cached fixtures: {counted(notes)} (--taskgraph-explain says why)"
        terminalreporter.write_line(f"taskgraph: {counts}")
