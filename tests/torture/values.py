"""A program that is tortured: a workflow whose results lie in a value store.

    python -m tests.torture.values URI FOLDER STORE EXECUTOR SIZE SEED...

As `workflow`: for each seed it says "begin SEED" and "done SEED RESULT", and bodies write lines to
FOLDER/ran. What is equal for two seeds is published by two processes at once.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from taskgraph import task
from taskgraph.config import BackendSettings, Settings
from tests.torture.workflow import note, opened

#: From so many bytes on values are put in the store; none that these tasks give is smaller.
SMALLEST = 64 * 1024
#: The largest ones.
LARGEST = int(os.environ.get("TORTURE_LARGEST") or 256 * 1024)
#: What is equal whatever the seed.
SHARED = 3


def _content(seed: int, number: int) -> bytes:
    chance = random.Random(f"{seed} {number}")
    return chance.randbytes(chance.randint(SMALLEST // 8, LARGEST // 8) * 8)


def _made(seed: int, number: int) -> Any:
    """Return an array, which is streamed, bytes or a list, which are pickled."""
    content = _content(seed, number)
    if number % 3 == 0:
        return np.frombuffer(content, "<u4").copy()
    return content if number % 3 == 1 else [content, {"seed": seed}]


def _digest(value: Any) -> str:
    if type(value) is list:
        value = value[0]
    return hashlib.sha256(bytes(memoryview(value).cast("B"))).hexdigest()[:12]


@task(namespace="stored", version="1")
def made(seed: int, number: int) -> Any:
    note(f"made {seed} {number}")
    return _made(seed, number)


@task(namespace="stored", version="1")
def twin(seed: int, number: int) -> Any:
    """Give what is equal for all seeds, by calls that are not."""
    note(f"twin {seed} {number}")
    return _made(-1, number)


@task(namespace="stored", version="1")
def digest(seed: int, value: Any) -> str:
    return _digest(value)


@task(namespace="stored", version="1")
def together(seed: int, values: list[Any]) -> dict[str, Any]:
    """Give what is large and has large values inside."""
    return {"all": values, "digests": [_digest(each) for each in values]}


@task(namespace="stored", version="1")
def digests(both: dict[str, Any]) -> list[str]:
    return [_digest(each) for each in both["all"]]


@task(namespace="stored", version="1")
def main(seed: int, size: int) -> list[Any]:
    twins = [twin(seed, each) for each in range(SHARED)]
    return [
        *(digest(seed, made(seed, each)) for each in range(size)),
        *(digest(seed, each) for each in twins),
        digests(together(seed, twins)),
    ]


def expected(seed: int, size: int) -> list[Any]:
    """What `main` gives, by plain Python."""
    twins = [_digest(_made(-1, each)) for each in range(SHARED)]
    return [*(_digest(_made(seed, each)) for each in range(size)), *twins, twins]


def settings_of(uri: str, folder: str, store: str, compression: str = "none") -> Settings:
    """Return settings with a store that takes whatever these tasks give."""
    backend = BackendSettings(
        db_uri=uri,
        value_store=store,
        value_store_min_size=SMALLEST,
        value_store_compression=compression,
    )
    return Settings(config_dir=Path(folder), backend=backend)


def run() -> None:
    uri, folder, store, executor, size, *seeds = sys.argv[1:]
    os.environ["TORTURE_FOLDER"] = folder
    settings = settings_of(uri, folder, store)
    for seed in seeds:
        print("begin", seed, flush=True)
        with opened(settings, executor) as scheduler:
            print("done", seed, scheduler.run(main(int(seed), int(size))), flush=True)


if __name__ == "__main__":
    # Under its own name: worker processes import what they run.
    from tests.torture import values

    values.run()
