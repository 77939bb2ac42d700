"""A Python that has imported what taskgraph imports, and forks itself for each program it is sent.

Nine tenths of the time of a command are imports, and the tests run a thousand of them. What is
forked is a process like any other: it has the folder, the words, the environment and the streams
that it is sent, runs what the words say as `__main__`, and ends as Python ends.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import sys
import time
from contextlib import suppress
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from types import ModuleType
from typing import Any

from sqlalchemy import orm

_ROOMS = (
    *("taskgraph.cli", "taskgraph.provenance", "taskgraph.engine", "taskgraph.app"),
    "taskgraph.serving",
)
_ALONE = ("taskgraph_backend.reader", "taskgraph.executors.processes")


def _import_all() -> None:
    for room in (*_ROOMS, "taskgraph_backend"):
        for found in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            # The command itself is run, and what speaks to servers may not be installed.
            if found.name != "taskgraph.cli.main" and "postgres" not in found.name:
                importlib.import_module(found.name)
    for name in _ALONE:
        importlib.import_module(name)
    with suppress(ImportError):
        importlib.import_module("taskgraph_backend.dialects.postgres.driver")
    # What the first look at records does otherwise: half of its time.
    orm.configure_mappers()


def _receive(asked: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next program, its streams and where to tell of it; None if there is none."""
    text, handles, _, _ = socket.recv_fds(asked, 1 << 16, 4)
    if not text:
        return None
    while not text.endswith(b"\n"):
        text += asked.recv(1 << 16)
    return json.loads(text), handles


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Fork for each program; return it in the process that is to run it."""
    while (received := _receive(asked)) is not None:
        program, handles = received
        if not os.fork():
            asked.close()
            if not _follow(socket.socket(fileno=handles.pop())):
                _take(handles, program["session"])
                return program
            os._exit(0)
        for handle in handles:
            os.close(handle)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    os._exit(0)


def _follow(told: socket.socket) -> int:
    """Fork once more, and tell the id of the new process and how it ended; 0 is the new one."""
    child = os.fork()
    if not child:
        told.close()
        return child
    with suppress(BrokenPipeError):  # nobody wants to know
        told.sendall(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        told.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    return child


def _take(streams: list[int], is_session: bool) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _open(number, name)
    if is_session:
        os.setsid()


def _open(number: int, name: str) -> None:
    """Open a stream as Python does when it starts: a pipe is no file, and was none before."""
    old = getattr(sys, name)
    mode = "w" if number else "r"
    raw = FileIO(number, mode, closefd=False)
    raw.name = f"<{name}>"
    buffer: Any = raw
    if not (number and old.write_through):
        buffer = BufferedWriter(raw) if number else BufferedReader(raw)
    is_by_line = name == "stderr" or (name == "stdout" and raw.isatty())
    text: Any = TextIOWrapper(buffer, old.encoding, old.errors, "\n", is_by_line, old.write_through)
    text.mode = mode
    setattr(sys, name, text)
    setattr(sys, f"__{name}__", text)


def _become(program: dict[str, Any]) -> None:
    """Do what Python does with these words."""
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    time.tzset()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    match program["words"]:
        case ["-m", module, *words]:
            sys.argv = ["-m", *words]
            sys.path[0] = os.getcwd()
            sys.modules["__main__"] = ModuleType("__main__")
            # What `python -m` calls.
            runpy._run_module_as_main(module)  # type: ignore[attr-defined]
        case ["-c", text, *words]:
            sys.argv = ["-c", *words]
            sys.path[0] = ""
            _run(text, "<string>")
        case [script, *_] as words:
            sys.argv = words
            path = os.path.abspath(script)
            sys.path[0] = os.path.dirname(path)
            with open(path, encoding="utf-8") as file:
                _run(file.read(), path, __file__=path, __cached__=None)


def _run(text: str, name: str, **variables: object) -> None:
    """Run a text as what is run."""
    main = sys.modules["__main__"] = ModuleType("__main__")
    vars(main).update({"__builtins__": builtins, **variables})
    exec(compile(text, name, "exec", dont_inherit=True), vars(main))


if __name__ == "__main__":
    _import_all()
    gc.collect()
    # What is shared stays so.
    gc.freeze()
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
