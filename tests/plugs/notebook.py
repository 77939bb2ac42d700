"""Notebooks for tests: cells that a kernel runs, in a process of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parents[2]
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_STATES = ("✓", "▶")


class Output(NamedTuple):
    """What stands under a cell.

    Attributes:
        printed: What was printed.
        shown: What was displayed, as text, without the state of a cached cell.
        state: That, as text; "" for other cells.
        html: The same as HTML.
        error: The traceback and its last line, or what else is said on standard error.
    """

    printed: str
    shown: list[str]
    state: str
    html: str
    error: str

    @property
    def ran(self) -> bool:
        """Whether the cell ran, of one that is cached."""
        assert self.state, self
        return self.state.startswith("▶")


class Notebook:
    """A kernel that cells are sent to."""

    def __init__(self, client: nbclient.NotebookClient) -> None:
        self._client = client

    def run(self, *sources: str) -> Output:
        """Run cells; returns what stands under the last one."""
        for source in sources:
            cell = nbformat.v4.new_code_cell(source)
            self._client.nb.cells.append(cell)
            self._client.execute_cell(cell, len(self._client.nb.cells) - 1)
        return _output(cell.outputs)


def _output(outputs: Sequence[Any]) -> Output:
    streams = {"stdout": "", "stderr": ""}
    shown: list[str] = []
    state = html = ""
    for each in outputs:
        if each.output_type == "stream":
            streams[each.name] += each.text
        elif each.output_type == "error":
            streams["stderr"] += _COLOR.sub("", "\n".join(each.traceback))
        elif each.data.get("text/plain", "").startswith(_STATES):
            state, html = each.data["text/plain"], each.data["text/html"]
        else:
            shown.append(each.data.get("text/plain", ""))
    printed = _COLOR.sub("", streams["stdout"]).replace("\r\n", "\n")
    return Output(printed, shown, state, html, streams["stderr"])


@contextmanager
def kernel(folder: Path) -> Iterator[Notebook]:
    """Start a kernel with a folder as its working directory."""
    notebook = nbformat.v4.new_notebook()
    client = nbclient.NotebookClient(
        notebook,
        timeout=60,
        allow_errors=True,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
    env = {**os.environ, "PYTHONPATH": paths, "IPYTHONDIR": str(folder / ".ipython")}
    env.pop("TASKGRAPH_CONFIG", None)
    with client.setup_kernel(env=env):
        made = Notebook(client)
        assert not made.run("%load_ext taskgraph").error
        yield made
