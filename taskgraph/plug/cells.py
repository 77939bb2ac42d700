"""Cells: snippets whose effects on the names that they share are remembered.

    a cell               inputs are the values that it reads, outputs the names that it binds
    its definitions      imports, functions and classes: always run, for they are code
    a recorded result    its names are bound, and what it showed is shown once more
    none                 it runs in the names, and is recorded

For notebooks, prompts, and scripts that run piece by piece. A tool says where a cell shows things,
and how its users write an option.
"""

from __future__ import annotations

from codeop import Compile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final, Protocol

from taskgraph.errors import DatabaseError, UnhashableValueError
from taskgraph.fingerprint.snippets import Snippet
from taskgraph.plug.execution import current_execution
from taskgraph.plug.memo import cached
from taskgraph.plug.snippets import Effects, SnippetRun, changed_in_place
from taskgraph.plug.states import (
    CallState,
    how_made,
    not_stored,
    why_it_runs,
    with_hash,
    without_hash,
)
from taskgraph.plug.transcripts import Transcript, Viewer, show_again
from taskgraph.plug.verbs import CallKey, Miss, key, lookup, record_or_warn

_AWAITS: Final = (
    "The cache cannot wait for what is awaited at the top of a cell. Put it into an `async def` "
    "with @taskgraph.cached, and await that in a plain cell."
)
_STAR: Final = "The cache cannot know what `import *` binds. Put it into a cell of its own."
_ALONE: Final = "put it, and what it needs, into a cell of its own"

# Beside the names in a recorded result; no names themselves.
_SHOWN: Final = "(shown)"
_DELETED: Final = "(deleted)"


class Screen(Viewer, Protocol):
    """Where a cell shows things."""

    def listening(self, transcript: Transcript) -> AbstractContextManager[None]:
        """Take down what is shown in a block, and let it be seen at once."""


class Cell:
    """A cell that may be called.

    Args:
        text: What stands in it.
        names: Those that it shares with other cells; ``__name__`` is the module that they are.
        name: What to record it as; by default the names that it binds.
        inputs: Names whose values alone count; by default those of all that it reads.
        outputs: Names that alone are kept; by default all that it binds.
        is_shown: Whether the value at its end is shown, by `sys.displayhook`.
        filename: Where it stands, for tracebacks.
        compiler: Compiles it; that of other cells knows their future imports.
        option: How users write the name of an option, with ``{}`` in its place.

    Raises:
        SyntaxError: It is no Python.
        ValueError: It does what cannot be kept, or an option stands for nothing.
    """

    def __init__(
        self,
        text: str,
        names: dict[str, Any],
        *,
        name: str | None = None,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        is_shown: bool = True,
        filename: str = "<cell>",
        compiler: Compile | None = None,
        option: str = "{}",
    ) -> None:
        snippet = self._snippet = Snippet(text, filename)
        if snippet.awaits:
            raise ValueError(_AWAITS)
        if snippet.binds_unknown:
            raise ValueError(_STAR)
        self._name = (snippet.name or "cell") if name is None else name
        if not self._name.isidentifier():
            told = f"{self._name!r} is no name: use letters, digits and _."
            raise ValueError(f"{option.format('name')}: {told}")
        _check(inputs, {*names, *snippet.defined}, option.format("inputs"))
        _check(outputs, {*snippet.binds, *snippet.reads}, option.format("outputs"))
        self._names = names
        self._inputs = inputs
        self._outputs = outputs
        self._is_shown = is_shown
        self._option = option
        self._run = SnippetRun(
            snippet, names, is_shown=is_shown, filename=filename, compiler=compiler
        )

    def call(self, screen: Screen, why: str = "") -> CallState:
        """Bind what it binds: as it is recorded, or by running it.

        Args:
            screen: Where it shows things.
            why: Why it is to run whatever is recorded; "" if a result will do.

        Raises:
            Exception: What it raises.
        """
        __tracebackhide__ = True
        undefined = self._run.define()
        if undefined is not None:
            first, error = undefined
            note = f"`{first}` fails before the cell has run ({error}): {_ALONE}"
            return self._run_unrecorded(screen, note)
        try:
            call = self._key()
        except UnhashableValueError as without:
            told = f"the input {without_hash(without)}. To have the others count alone:"
            inputs = {each: self._names[each] for each in self._snippet.inputs(self._names)}
            return self._run_unrecorded(screen, self._advice(told, "inputs", inputs))
        except DatabaseError as error:
            return self._run_unrecorded(screen, str(error))
        settings = current_execution().settings
        try:
            found = None if why else lookup(call)
            why = why or (why_it_runs(settings, call) if isinstance(found, Miss) else "")
        except DatabaseError as error:
            return self._run_unrecorded(screen, str(error))
        if found is None or isinstance(found, Miss):
            return self._run_recorded(screen, call, why)
        values = dict(found.value)
        show_again(values.pop(_SHOWN, ()), screen)
        Effects(values, values.pop(_DELETED, [])).apply(self._names)
        return CallState.of_hit(how_made(settings, found.record.job_id), values)

    def _key(self) -> CallKey:
        inputs, ignored = self._snippet.inputs(self._names), []
        if self._inputs is not None:
            ignored = [each for each in inputs if each not in self._inputs]
            inputs = list(dict.fromkeys([*inputs, *self._inputs]))
        func = self._snippet.as_function(self._name, inputs, self._names, is_shown=self._is_shown)
        counts = () if self._outputs is None else (sorted(self._outputs),)
        options: dict[str, Any] = {"config_args": ignored} if ignored else {}
        wrapped = cached(hash_includes=counts, **options)(func)
        return key(wrapped, (), {each: self._names[each] for each in inputs})

    def _run_unrecorded(self, screen: Screen, note: str) -> CallState:
        __tracebackhide__ = True
        started = perf_counter()
        with screen.listening(Transcript()):
            effects = self._run.run()
        return CallState.of_run("not kept", perf_counter() - started, effects.values, [note])

    def _run_recorded(self, screen: Screen, call: CallKey, why: str) -> CallState:
        __tracebackhide__ = True
        inputs = {each: self._names[each] for each in call.arguments}
        transcript = Transcript()
        started = datetime.now(UTC)
        try:
            with call.running(), screen.listening(transcript):
                effects = self._run.run()
        except Exception as error:
            record_or_warn(call, error=error, started=started)
            raise
        ended = datetime.now(UTC)
        changed = changed_in_place(call.arguments, inputs, effects, self._names)
        kept = {**effects.values, **changed}
        if self._outputs is not None:
            kept = {each: kept[each] for each in self._outputs if each in kept}
        more: dict[str, Any] = {_SHOWN: transcript.entries, _DELETED: effects.deleted}
        result = {**kept, **{name: each for name, each in more.items() if each}}
        made = record_or_warn(call, result, started=started, ended=ended)
        notes: list[str] = []
        if changed:
            notes.append(f"changed in place, and kept as it is now: {', '.join(changed)}")
        if not transcript.is_whole:
            notes.append("it prints a lot: what it shows on a hit is not all of it")
        if made is None:
            notes.append("not kept: the database cannot be written")
        elif made.unstored:
            notes.append(f"not kept, so it runs each time: {self._fault(kept, made.unstored)}")
        return CallState.of_run(why, (ended - started).total_seconds(), kept, notes)

    def _fault(self, kept: Mapping[str, Any], unstored: str) -> str:
        fault = not_stored(kept)
        told = f"{fault}. To keep the others alone:"
        return self._advice(told, "outputs", kept) if fault else unstored

    def _advice(self, told: str, option: str, values: Mapping[str, Any]) -> str:
        others = ",".join(with_hash(values)) or "''"
        return f"{told} {self._option.format(option)} {others}"


def _check(wanted: Sequence[str] | None, known: set[str], option: str) -> None:
    for each in wanted or ():
        if each not in known:
            raise ValueError(f"{option}: there is no {each!r}.")
