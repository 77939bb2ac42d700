"""Records that were read show themselves in a notebook as their pages, while they can be read."""

from __future__ import annotations

from pathlib import Path

from taskgraph import File, Scheduler, task
from taskgraph.config import Settings


@task(namespace="notebook", version="1")
def write(path: str, text: str) -> File:
    file = File(path)
    file.write(text)
    return file


def test_each_kind_of_record_is_drawn(tmp_path: Path) -> None:
    settings = Settings(tmp_path / ".taskgraph")
    settings.config_dir.mkdir()
    with Scheduler(settings) as scheduler:
        scheduler.run(write(str(tmp_path / "out.txt"), "<b>"))
        with scheduler.reading() as reader:
            execution = reader.newest_execution()
            assert execution is not None
            job = execution.job
            assert job is not None
            call = job.call_node
            assert call is not None
            found = reader.find_file(("project", "out.txt"))
            assert found is not None
            rows = [execution, job, call, call.task, call.value, found[0]]
            drawn = [row._repr_html_() for row in rows]

    for text in drawn:
        assert text is not None
        assert text.startswith('<div class="taskgraph">')
        assert "notebook.write" in text
    assert "&lt;b&gt;" in (drawn[1] or "")
    assert execution._repr_html_() is None  # it cannot be asked any more
