from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from taskgraph.engine import environment
from taskgraph.engine.environment import (
    Environment,
    ask_git,
    distributions,
    pack_environment,
    platform_name,
)


def test_the_platform_is_named_as_python_names_it() -> None:
    assert platform_name() == platform.platform()


def test_no_program_is_started_to_name_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")  # elsewhere Python is asked
    platform.libc_ver()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(platform, "uname", None)  # what asks `uname -p`

    assert platform_name.__wrapped__().startswith(f"{os.uname().sysname}-")


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


def test_what_is_installed_meanwhile_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "brand-new" not in distributions()

    (tmp_path / "brand_new-1.2.dist-info").mkdir()
    os.utime(tmp_path, ns=(0, 1))  # whatever the clock of the file system

    assert distributions()["brand-new"] == "1.2"
    assert Environment(tmp_path).packed() == pack_environment(tmp_path)


def test_a_second_run_has_nothing_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Environment(tmp_path).packed()
    monkeypatch.setattr(environment, "threading", None)  # without which no thread is begun

    assert Environment(tmp_path).packed() is first


def test_git_is_asked_each_time(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    before = Environment(tmp_path).packed()
    commit = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "commit"]
    subprocess.run([*commit, "-q", "--allow-empty", "-m", "first"], check=True)

    assert before is not None
    assert Environment(tmp_path).packed() != before
