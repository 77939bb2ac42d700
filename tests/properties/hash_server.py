"""Hashes recipes in a process of its own: reads batches from stdin, writes hashes to stdout."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import sys

# The other process has the libraries before us, and from the last to the first.
if sys.argv[1:] == ["other"]:
    for name in ("sklearn", "scipy.sparse", "pydantic", "pyarrow", "polars", "pandas", "numpy"):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)

from taskgraph.values.weigh import hash_value
from tests.properties.recipes import build


def main() -> None:
    other = sys.argv[1] == "other"
    for line in sys.stdin:
        recipes = pickle.loads(bytes.fromhex(line))
        print(json.dumps([hash_value(build(each, other=other)) for each in recipes]), flush=True)


if __name__ == "__main__":
    main()
