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
from types import ModuleType
from typing import Any

from sqlalchemy import orm

_ROOMS = ("taskgraph.cli", "taskgraph.provenance", "taskgraph.engine", "taskgraph.app")
_ALONE = ("taskgraph_backend.reader", "taskgraph.executors.processes")


def _import_all() -> None:
    for room in (*_ROOMS, "taskgraph_backend"):
        for found in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            # The command itself is run, and what speaks to servers is seldom wanted.
            if found.name != "taskgraph.cli.main" and "postgres" not in found.name:
                importlib.import_module(found.name)
    for name in _ALONE:
        importlib.import_module(name)
    # What the first look at records does otherwise: half of its time.
    orm.configure_mappers()


def _receive(asked: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next program and its streams; None if there will be none."""
    text, streams, _, _ = socket.recv_fds(asked, 1 << 16, 3)
    if not text:
        return None
    while not text.endswith(b"\n"):
        text += asked.recv(1 << 16)
    return json.loads(text), streams


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Fork for each command; return it in the process that is to run it."""
    while (received := _receive(asked)) is not None:
        command, streams = received
        child = os.fork()
        if not child:
            asked.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if not child:
            return command
        asked.sendall(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


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
