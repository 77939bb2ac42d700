"""What cannot be imported is told before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph.cli.importing import _look_for
from taskgraph.errors import NoRecordFileError


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoRecordFileError, match=r"gone.jsonl': it does not exist. .*export"):
        _look_for(str(tmp_path / "gone.jsonl"))


def test_a_folder_is_no_file_of_records(tmp_path: Path) -> None:
    with pytest.raises(NoRecordFileError, match="it is a folder"):
        _look_for(str(tmp_path))
