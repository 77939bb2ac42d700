"""Reads hostile pickles in a process of its own, and writes what came of each as a line of JSON.

``python -m tests.hostile.probe TRUST [KIND...]`` in an empty folder; what an audit hook heard while
a pickle was read is part of the line.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from taskgraph.errors import DamagedValueError
from taskgraph.hashing import ValueHash, digest_bytes
from taskgraph.values import codec
from taskgraph.values.gate import Trust, use_trust
from tests.hostile import corpus

#: What nobody does who makes data: runs code or programs, writes, or speaks to others.
FORBIDDEN = ("exec", "compile", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.")
_heard: list[str] = []
_listening = False


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if not _listening:
        return
    if event.startswith(FORBIDDEN) and event not in {"os.listdir", "os.scandir"}:
        # What an import of a library that is known does is no doing of the pickle's.
        _heard.append(event)
    elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        _heard.append(f"open {args[0]}")
    elif event == "import":
        _heard.append(f"import {args[0]}")


def _read(payload: bytes) -> tuple[str, str]:
    try:
        value = codec.decode(ValueHash("ab" * 16), "", "pickle", payload, digest_bytes(payload))
    except DamagedValueError as error:
        return type(error).__name__, str(error)
    except MemoryError:
        return "MemoryError", ""
    if isinstance(value, subprocess.Popen):
        value.wait()
    try:
        shown = repr(value)[:100]  # what looks at a value reads all of it
    except (RecursionError, TypeError) as error:
        shown = type(error).__name__
    return "value", shown


def main() -> None:
    """Read all pickles of some kinds."""
    global _listening
    trust, *kinds = sys.argv[1:]
    # Gigabytes are refused, and not swapped.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    # So that no import is heard that a first look at a library makes.
    import numpy
    import pandas
    import polars  # noqa: F401
    import pyarrow

    import tests.hostile.victims  # noqa: F401
    from taskgraph.values.gate import allowed

    use_trust(Trust(True))
    for value in (numpy.array([1, "a"], object), pandas.Categorical(["a"]), pyarrow.array(["a"])):
        format, payload = codec.encode([value])
        codec.decode(ValueHash(""), "", format, payload, digest_bytes(payload))
    for module in allowed.PLAIN:
        if find_spec(module.partition(".")[0]) and module != "pathlib._local":
            import_module(module)

    corpus.register_extension()
    use_trust(
        Trust(trust != "all", tuple(trust.split(",")) if trust not in ("all", "data") else ())
    )
    sys.addaudithook(_hear)
    for kind in kinds:
        cases: dict[str, Callable[[], bytes]] = getattr(corpus, kind)
        for name, make in cases.items():
            payload = make()
            if os.path.exists(corpus.CANARY):
                os.unlink(corpus.CANARY)
            print(json.dumps({"case": name}), flush=True)
            _heard.clear()
            _listening = True
            end, said = _read(payload)
            _listening = False
            found = {
                "case": name,
                "end": end,
                "said": said,
                "heard": sorted(set(_heard)),
                "ran": os.path.exists(corpus.CANARY),
            }
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
