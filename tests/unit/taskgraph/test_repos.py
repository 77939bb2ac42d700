"""Repos are kept by name in a file of their own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from taskgraph import exchange
from taskgraph.config import Settings
from taskgraph.errors import ConfigError, RepoExistsError, UnknownRepoError, UntrustedRecordError
from taskgraph.repos import FILE, Repo, add_repo, find_repo, list_repos, remove_repo


def test_repos_come_back_by_name(tmp_path: Path) -> None:
    add_repo(tmp_path, Repo("b", 'with "quotes" and \\ and é'))
    add_repo(tmp_path, Repo("a", "postgresql://me:secret@db/x"))

    assert [each.name for each in list_repos(tmp_path)] == ["a", "b"]
    assert find_repo(tmp_path, "b").place == 'with "quotes" and \\ and é'
    assert find_repo(tmp_path, "a").shown == "postgresql://me:***@db/x"


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    add_repo(tmp_path, Repo("a", "x"))

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_project_without_repos_has_none(tmp_path: Path) -> None:
    assert list_repos(tmp_path) == []
    with pytest.raises(UnknownRepoError, match="There are none yet"):
        find_repo(tmp_path, "a")


def test_a_repo_that_was_removed_is_not_known(tmp_path: Path) -> None:
    add_repo(tmp_path, Repo("a", "x"))
    add_repo(tmp_path, Repo("b", "y"))

    remove_repo(tmp_path, "a")

    with pytest.raises(UnknownRepoError, match="There are: b"):
        remove_repo(tmp_path, "a")


@pytest.mark.parametrize("name", ["", "a b", "-a", "a.b", "../a", "é"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is no name"):
        add_repo(tmp_path, Repo(name, "x"))


@pytest.mark.parametrize("place", ["", "a\nb", "a\0b"])
def test_what_is_no_place_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="its place is"):
        add_repo(tmp_path, Repo("a", place))


@pytest.mark.parametrize("text", ["[repos", "repos = 1", "[repos]\na = 1", "\0"])
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)

    with pytest.raises(ConfigError):
        list_repos(tmp_path)


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    settings = Settings(config_dir=tmp_path)
    exchange.add_repo(settings, "a", "x")

    with pytest.raises(RepoExistsError, match="taskgraph repo remove a"):
        exchange.add_repo(settings, "a", "y")


def test_an_untrusted_record_says_what_to_do() -> None:
    error = UntrustedRecordError("0123456789abcdef", "lab")

    assert "came from lab" in str(error)
    assert "taskgraph trust 01234567" in str(error)
