from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from taskgraph.engine.environment import ask_git, platform_name


def test_the_platform_is_named_as_python_names_it() -> None:
    assert platform_name() == platform.platform()


def test_no_program_is_started_to_name_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")  # elsewhere Python is asked
    platform.libc_ver()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(platform, "uname", None)  # what asks `uname -p`

    assert platform_name().startswith(f"{os.uname().sysname}-")


def test_a_repository_above_is_found_from_a_folder_within(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert ask_git(below, "rev-parse", "--show-prefix") == "a/b/"


def test_a_bare_repository_is_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path)], check=True)

    assert ask_git(tmp_path, "rev-parse", "--is-bare-repository") == "true"


def test_a_repository_elsewhere_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "code")], check=True)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "code" / ".git"))

    assert ask_git(tmp_path / "work", "rev-parse", "--git-dir") == str(tmp_path / "code" / ".git")


def test_a_link_into_a_repository_is_followed(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "code")], check=True)
    (tmp_path / "code" / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "code" / "sub")

    assert ask_git(tmp_path / "link", "rev-parse", "--show-prefix") == "sub/"
