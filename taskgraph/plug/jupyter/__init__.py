"""`%%cached`: cells of a notebook that do not run again while all that they need is as it was.

    a cell               inputs are the values that it reads, outputs the names that it binds
    its definitions      imports, functions and classes: always run, for they are code
    a recorded result    its names are bound, and what it showed is shown once more
    none                 it runs in the user's names, and is recorded

``%load_ext taskgraph`` makes the magic known.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from taskgraph.errors import UnhashableValueError
from taskgraph.plug.execution import current_execution
from taskgraph.plug.jupyter.cells import inputs_of
from taskgraph.plug.jupyter.output import Recorder, show_again
from taskgraph.plug.jupyter.runs import Bound, CellRun, bind, changed_in_place, check_known
from taskgraph.plug.jupyter.states import (
    hit_state,
    notes_of,
    run_state,
    unhashable,
    unstorable,
    why_it_runs,
)
from taskgraph.plug.memo import cached
from taskgraph.plug.verbs import CallKey, Hit, key, lookup, record

# Beside the names in a recorded result; no names themselves.
_SHOWN: Final = "(shown)"
_DELETED: Final = "(deleted)"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make ``%%cached`` known; called by ``%load_ext taskgraph``."""
    shell.register_magic_function(magic_cached, "cell", "cached")


def _names(text: str) -> list[str]:
    plain = [each.strip(" '\"") for each in text.split(",")]  # IPython leaves quotes where they are
    return [each for each in plain if each]


@magic_arguments()
@argument("--name", help="what to record the cell as; by default the names that it binds")
@argument("--inputs", type=_names, help="names whose values alone count, as in a,b")
@argument("--outputs", type=_names, help="names that alone are kept, as in x,y")
@argument("--no-cache", action="store_true", help="run it whatever is recorded")
@no_var_expand
def magic_cached(line: str, source: str) -> None:
    """Run a cell, or bind the names that it bound when all that it needs was as it is now.

    Inputs are the values of the names that it reads before it binds them; functions, classes and
    modules count by their code, as for tasks. On a hit what it printed and displayed is shown
    again. Imports, functions and classes in the cell are defined in any case.
    """
    __tracebackhide__ = True
    given = parse_argstring(magic_cached, line)
    if given.name is not None and not given.name.isidentifier():
        raise UsageError(f"%%cached --name: {given.name!r} is no name: use letters, digits and _.")
    shell = InteractiveShell.instance()
    run = CellRun(shell, source)
    undefined = run.define()
    if undefined:
        _run_unrecorded(run, undefined)
        return
    try:
        call = _key_of(run, given)
    except UnhashableValueError as error:
        inputs = {each: run.names[each] for each in inputs_of(run.cell, run.names)}
        _run_unrecorded(run, unhashable(error, inputs))
        return
    settings = current_execution().settings
    found = None if given.no_cache else lookup(call)
    if isinstance(found, Hit):
        values = dict(found.value)
        show_again(shell, values.pop(_SHOWN, ()))
        bind(run.names, Bound(values, values.pop(_DELETED, [])))
        display(hit_state(settings, found.record.job_id, values))
        return
    why = "--no-cache" if given.no_cache else why_it_runs(settings, call)
    _run_and_record(run, call, given.outputs, why)


def _run_unrecorded(run: CellRun, note: str) -> None:
    __tracebackhide__ = True
    started = perf_counter()
    bound = run.run(Recorder(run.shell))
    display(run_state("not kept", perf_counter() - started, bound.values, [note]))


def _run_and_record(run: CellRun, call: CallKey, outputs: list[str] | None, why: str) -> None:
    __tracebackhide__ = True
    recorder = Recorder(run.shell)
    inputs = {each: run.names[each] for each in call.arguments}
    started = datetime.now(UTC)
    try:
        with call.running():
            bound = run.run(recorder)
    except Exception as error:
        record(call, error=error, started=started)
        raise
    ended = datetime.now(UTC)
    changed = changed_in_place(call.arguments, inputs, bound, run.names)
    kept = {**bound.values, **changed}
    if outputs is not None:
        kept = {each: kept[each] for each in outputs if each in kept}
    result = _result(kept, bound, recorder)
    unstored = record(call, result, started=started, ended=ended).unstored
    notes = notes_of(changed, recorder.is_whole, unstored and unstorable(kept, unstored))
    display(run_state(why, (ended - started).total_seconds(), kept, notes))


def _key_of(run: CellRun, given: Any) -> CallKey:
    """Return the key of a cell.

    Raises:
        UnhashableValueError: The value of an input has no stable hash.
        UsageError: An input or output is named that is not there.
    """
    inputs = inputs_of(run.cell, run.names)
    ignored: list[str] = []
    if given.inputs is not None:
        check_known(given.inputs, run.names, "--inputs")
        ignored = [each for each in inputs if each not in given.inputs]
        inputs = list(dict.fromkeys([*inputs, *given.inputs]))
    check_known(given.outputs or (), {*run.cell.binds, *run.cell.reads}, "--outputs")
    func = run.cell.as_function(
        given.name or run.cell.name, inputs, run.names, is_shown=run.is_shown
    )
    counts = () if given.outputs is None else (sorted(given.outputs),)
    options: dict[str, Any] = {"config_args": ignored} if ignored else {}
    wrapped = cached(hash_includes=counts, **options)(func)
    return key(wrapped, (), {each: run.names[each] for each in inputs})


def _result(kept: dict[str, Any], bound: Bound, recorder: Recorder) -> dict[str, Any]:
    more: dict[str, Any] = {_SHOWN: recorder.shown, _DELETED: bound.deleted}
    return {**kept, **{name: each for name, each in more.items() if each}}
