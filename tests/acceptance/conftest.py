"""The project that most acceptance tests start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.space import Space


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """An empty project."""
    return Space(tmp_path)


@pytest.fixture
def flow(space: Any) -> Any:
    """A project that cleans files and joins them; each call that runs writes a line to ran.txt."""
    space.write("in0.txt", "one\n")
    space.write("in1.txt", "two\n")
    space.write(
        "flow.py",
        '''
        """Cleans files and joins them."""
        from pathlib import Path

        from taskgraph import File, task

        taskgraph_namespace = "flow"


        def shout(text):
            return text.upper()


        @task
        def clean(source: File) -> File:
            """Clean one file."""
            with Path("ran.txt").open("a") as log:
                print("clean", Path(source.path).name, file=log)
            cleaned = File("work/" + Path(source.path).name)
            cleaned.write(shout(source.read()))
            return cleaned


        @task
        def join(parts: list[File], out: str) -> File:
            """Join files to one."""
            with Path("ran.txt").open("a") as log:
                print("join", file=log)
            joined = File(out)
            joined.write("".join(part.read() for part in parts))
            return joined


        @task
        def main(out: str = "results/all.txt", n: int = 2) -> File:
            """Clean and join.

            Args:
                out: Where to write.
                n: How many files.
            """
            return join([clean(File(f"in{i}.txt")) for i in range(n)], out)


        @task
        def half(x: int) -> float:
            """Half of a number."""
            if x % 2:
                raise ValueError(f"{x} is odd")
            return x / 2


        @task
        def halves(*xs: int) -> list[float]:
            return [half(x) for x in xs]


        @task
        def greet(name: str, loud: bool = False) -> str:
            return name.upper() if loud else name
        ''',
    )

    def ran() -> list[str]:
        path = space.folder / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(lines)

    space.ran = ran
    return space
