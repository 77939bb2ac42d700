"""Whatever a URL says besides the path of its file, commands read what runs have recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_FLOW = """
from taskgraph import task


@task
def double(x: int) -> int:
    return 2 * x
"""


@pytest.mark.parametrize("url", ["{}/b.db?mode=rwc", "{}/b%20c.db", "{}/b.db"])
def test_records_are_read_through_the_url_that_they_were_written_through(
    space: Any, url: str
) -> None:
    space.write("flow.py", _FLOW)
    uri = "sqlite:///" + url.format(space.folder)
    environment = {"TASKGRAPH_BACKEND__DB_URI": uri}
    space("run", "flow.py", "double", "--x", "21", **environment)

    found = [space(*words, **environment) for words in (["log"], ["log", "-"], ["explain", "-"])]

    assert [each.code for each in found] == [0, 0, 0]
    assert all("double" in each.out for each in found)


def test_a_folder_may_have_a_name_that_means_something_in_urls(space: Any, tmp_path: Path) -> None:
    (tmp_path / "50%41?").mkdir()
    project = type(space)(tmp_path / "50%41?")
    project.write("flow.py", _FLOW)

    ran = project("run", "flow.py", "double", "--x", "21")

    assert ran.code == 0
    assert (project.folder / ".taskgraph" / "taskgraph.db").is_file()
    assert "double" in project("log", "-").out
