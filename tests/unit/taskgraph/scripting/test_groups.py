"""Who gives the work of a process that is gone to others sees whether its scripts are gone too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskgraph.scripting import groups
from taskgraph.scripting.groups import is_guarded

# On CI, which installs it, a missing one is a failure and no skip.
needs_ps = pytest.mark.skipif(
    shutil.which("ps") is None and not os.environ.get("CI"),
    reason="there is no ps: it is of any system but a small container's, and CI installs it",
)

# It starts a script that takes no notice of being asked to end, as a slot of a worker may.
STARTS = """
import sys
from taskgraph.scripting.groups import ProcessGroup

with open("said", "wb") as said:
    group = ProcessGroup(["/bin/sh", "-c", "trap '' TERM; echo . >&2; sleep 1000"], ".", said,
                         sys.stdout.buffer)
    group.wait()
"""


@pytest.mark.parametrize("place", ["/proc", pytest.param("/nowhere", marks=needs_ps)])
def test_a_session_is_guarded_as_long_as_scripts_of_it_may_run(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where processes are no files, `ps` says which there are."""
    monkeypatch.setattr(groups, "_PROCESSES", place)
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read(1)
        found = [is_guarded(process.pid), is_guarded(2**30)]
        process.kill()
        process.wait()
        found.append(is_guarded(process.pid))  # it is gone, and what it has started is not yet
        process.stdout.read()  # until nobody has the pipe: the script is gone
    assert (said, found) == (b".", [True, False, True])
    while is_guarded(process.pid):
        continue
