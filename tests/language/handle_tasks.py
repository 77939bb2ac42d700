"""Tasks on a database that a handle stands for; by import, so that worker processes find them."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from typing import Any

from taskgraph import Handle, evaluate, merge_handles, task

taskgraph_namespace = "handles"


class Db(Handle):
    """A database in a file: a table of cells, and one of all that was ever done."""

    def __init__(self, name: str, path: str) -> None:
        self.path = path
        self.made_in = os.getpid()
        self.instance = sqlite3.connect(path, timeout=30)
        self.execute("CREATE TABLE IF NOT EXISTS cell (name TEXT PRIMARY KEY, text TEXT)")
        self.execute("CREATE TABLE IF NOT EXISTS log (line TEXT)")
        self.commit()

    def cell(self, name: str) -> str:
        """Return what is in a cell."""
        found = self.execute("SELECT text FROM cell WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def put(self, name: str, text: str) -> None:
        """Put text into a cell, and note it."""
        self.execute("REPLACE INTO cell VALUES (?, ?)", (name, text))
        self.execute("INSERT INTO log VALUES (?)", (name,))
        self.commit()

    def take_log(self) -> list[str]:
        """Return what was done since this was last asked."""
        lines = [line for (line,) in self.execute("SELECT line FROM log ORDER BY rowid")]
        self.execute("DELETE FROM log")
        self.commit()
        return lines


@task
def put(db: Db, name: str, text: str, before: str = "") -> Db:
    db.put(name, text + db.cell(before))
    return db


@task
def count(db: Db, name: str) -> int:
    db.put(f"count of {name}", "")
    return len(db.cell(name))


@task
def process_of(db: Db) -> tuple[int, int]:
    return db.made_in, os.getpid()


@task
def fail_after(db: Db, name: str, text: str) -> Db:
    db.put(name, text)
    raise ValueError(f"{name} has failed")


@task
def nothing(error: Exception) -> None:
    return None


@task
def slow_name(name: str) -> str:
    return name


@dataclasses.dataclass
class Pair:
    """Two branches."""

    left: Any
    right: Any


@task
def split(db: Db) -> Pair:
    db.put("split", "")
    return Pair(db.fork("left"), {"it": [db.fork("right")]})


@task
def put_both(pair: Pair) -> Any:
    return merge_handles([put(pair.left, "l", "1"), put(pair.right["it"][0], "r", "2")])


@task
def inside(db: Db, text: str) -> Db:
    db.put("outside", "")
    return put(db, "inside", text)


class Box:
    """Holds something where nobody can put another thing into its place."""

    def __init__(self, content: Any) -> None:
        self.content = content


@task
def boxed(db: Db) -> Box:
    return Box(db)


@task
def unbox(box: Box) -> str:
    return str(type(box.content).__name__)


@task(retries=2)
def third_time(db: Db, marks: str) -> str:
    db.execute("INSERT INTO log VALUES ('never committed')")
    with open(marks, "a") as file:
        file.write("x")
    with open(marks) as file:
        if len(file.read()) < 3:
            raise ConnectionError("not yet")
    db.execute("ROLLBACK")
    db.put("third", "")
    return "ok"


@task
def opened(path: str, text: str) -> Db:
    """Make a handle in the body; what is done to the service is done before it is known to any."""
    db = Db("opened", path)
    db.put("opened", text)
    return db


@task
async def ladder(db: Db, text: str) -> Any:
    one = await evaluate(put(db, "x", text))
    length = await evaluate(count(one, "x"))
    two = await evaluate(put(one, "y", str(length), "x"))
    return put(two, "z", "", "y")


@task
async def steps_itself(db: Db, text: str) -> Any:
    db.put("by itself", text)
    return await evaluate(put(db, "after", "", "by itself"))
