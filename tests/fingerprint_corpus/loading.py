"""Loads the projects of the corpus afresh in this process, as a new process or kernel would.

Standard library only: the benchmarks use it too.
"""

from __future__ import annotations

import contextlib
import importlib
import linecache
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType


@contextlib.contextmanager
def fresh_modules(folder: Path) -> Iterator[None]:
    """Work in a folder, and forget what was imported from it.

    Bytecode is left out: what is imported is what the files say.
    """
    path, writes, main = list(sys.path), sys.dont_write_bytecode, sys.modules["__main__"]
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path[:] = path
        sys.dont_write_bytecode = writes
        sys.modules["__main__"] = main
        for name in sys.modules.keys() - before:
            if is_from(sys.modules[name], f"{folder}/"):
                del sys.modules[name]
        linecache.clearcache()


def is_from(module: object, folder: str) -> bool:
    """Return whether a module was loaded from below a folder, which ends with a slash."""
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return any(place is not None and f"{place}/".startswith(folder) for place in places)


class Kernel:
    """A notebook's kernel: cells are run in one namespace, which is ``__main__``.

    As in IPython, a cell is compiled under a file name of its own, and its text is in `linecache`.
    """

    def __init__(self) -> None:
        self.module = ModuleType("__main__")
        self._count = 0

    def run(self, cells: Mapping[str, str]) -> None:
        """Run cells in their order."""
        sys.modules["__main__"] = self.module
        for text in cells.values():
            self._count += 1
            name = f"<ipython-input-{self._count}-{zlib.crc32(text.encode()):08x}>"
            lines = text.splitlines(keepends=True)
            # No time of change: checkcache leaves it alone.
            linecache.cache[name] = (len(text), None, lines, name)
            code = compile(text, name, "exec", dont_inherit=True)
            exec(code, self.module.__dict__)
