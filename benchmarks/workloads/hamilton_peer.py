"""Hamilton (https://hamilton.apache.org): a graph of named functions, with its cache.

Its graph is a module in which each node is a function with a name of its own, so that a fan-out is
a module of many functions: that is written and imported as a part of the work, which is little of
it. Tasks that call tasks it has none of.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hamilton import driver
from shapes import CHAIN_START


class Contestant:
    name = "hamilton"

    def __init__(self, folder: Path) -> None:
        # A chain of 500 nodes is beyond Python's limit for it.
        sys.setrecursionlimit(100_000)
        self.folder = folder

    def warm_up(self) -> None:
        self._run("warm", ["def warm() -> int:\n    return 0"], ["warm"], {})

    def fanout(self, tasks: int) -> list[int]:
        nodes = [f"def inc_{i}(x_{i}: int) -> int:\n    return x_{i} + 1" for i in range(tasks)]
        names = [f"inc_{i}" for i in range(tasks)]
        found = self._run("fanout", nodes, names, {f"x_{i}": i for i in range(tasks)})
        return [found[name] for name in names]

    def chain(self, length: int) -> int:
        nodes = ["def inc_0(x: int) -> int:\n    return x + 1"]
        nodes += [
            f"def inc_{i}(inc_{i - 1}: int) -> int:\n    return inc_{i - 1} + 1"
            for i in range(1, length)
        ]
        last = f"inc_{length - 1}"
        return int(self._run("chain", nodes, [last], {"x": CHAIN_START})[last])

    def _run(
        self, name: str, nodes: list[str], wanted: list[str], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        module = self._module(name, "\n\n\n".join(nodes) + "\n")
        builder = driver.Builder().with_modules(module).with_cache(path=self.folder / "hamilton")
        found: dict[str, Any] = builder.build().execute(wanted, inputs=inputs)
        return found

    def _module(self, name: str, text: str) -> ModuleType:
        path = self.folder / f"{name}_nodes.py"
        if not path.exists():
            path.write_text(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module

    @staticmethod
    def hashers() -> dict[str, Any]:
        return {}

    @staticmethod
    def file_hashers() -> dict[tuple[str, str], Any]:
        return {}

    def close(self) -> None:
        pass
