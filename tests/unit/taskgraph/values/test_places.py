"""Where files are, and by which names they enter hashes."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import UnknownRootError
from taskgraph.values.places import (
    FilePlaces,
    Place,
    Policy,
    current_places,
    is_url,
    locate,
    printable,
    use_places,
    user_cache_folder,
)


@pytest.fixture(autouse=True)
def _restore_places() -> Iterator[None]:
    before = current_places()
    yield
    use_places(before)


def test_a_path_below_a_root_is_named_by_the_root(tmp_path: Path) -> None:
    places = FilePlaces({"project": tmp_path})

    assert places.name(f"{tmp_path}/data/a.csv") == Place("project", "data/a.csv")
    assert places.name(str(tmp_path)) == Place("project", ".")
    assert places.name(f"{tmp_path}-other/a.csv") == Place("", f"{tmp_path}-other/a.csv")


def test_the_longest_root_names_a_path(tmp_path: Path) -> None:
    places = FilePlaces({"project": tmp_path, "data": tmp_path / "data", "all": "/"})

    assert places.name(f"{tmp_path}/data/a") == Place("data", "a")
    assert places.name(f"{tmp_path}/b") == Place("project", "b")
    assert places.name("/etc/hosts") == Place("all", "etc/hosts")


def test_a_root_given_through_a_link_is_known_by_its_real_path_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    places = FilePlaces({"project": tmp_path / "link"})

    assert places.name(f"{tmp_path}/real/a") == Place("project", "a")
    assert places.name(f"{tmp_path}/link/a") == Place("project", "a")


def test_a_url_is_its_own_name() -> None:
    places = FilePlaces({"all": "/"})

    assert places.name("s3://bucket/key") == Place("", "s3://bucket/key")


def test_a_name_is_found_where_its_root_lies_here(tmp_path: Path) -> None:
    there, here = FilePlaces({"data": "/there"}), FilePlaces({"data": tmp_path})

    place = there.name("/there/a/b.csv")

    assert here.find(place) == f"{tmp_path}/a/b.csv"
    assert here.find(Place("data", ".")) == str(tmp_path)
    assert here.find(Place("", "/etc/hosts")) == "/etc/hosts"


def test_an_undeclared_root_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(UnknownRootError, match=r"'data'.*there is 'project'.*\[roots\]"):
        FilePlaces({"project": "/p"}).find(Place("data", "a"))


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda n: n.strip(".")))
def test_naming_and_finding_are_inverse(name: str) -> None:
    places = FilePlaces({"project": "/some/project"})

    for location in (f"/some/project/{name}", f"/elsewhere/{name}"):
        assert places.find(places.name(location)) == location


def test_relative_paths_are_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert locate("a/./b//c.csv") == f"{os.getcwd()}/a/b/c.csv"
    assert locate("x", folder="/f") == "/f/x"
    assert locate("//a") == "/a"
    assert locate("") == os.getcwd()


def test_two_dots_after_a_link_mean_what_the_file_system_says(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("elsewhere/deep")
    real = os.path.realpath(tmp_path)

    assert locate(f"{tmp_path}/link/../x") == f"{real}/elsewhere/x"
    assert locate(f"{tmp_path}/link/..") == f"{real}/elsewhere"


def test_a_link_at_the_end_keeps_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")

    assert locate(tmp_path / "link") == f"{tmp_path}/link"


def test_local_urls_are_paths() -> None:
    assert locate("file:///a/b%20c") == "/a/b c"
    assert locate("file://localhost/a") == "/a"
    assert locate("s3://bucket/a/") == "s3://bucket/a"


def test_only_urls_are_urls() -> None:
    assert is_url("s3://b/k") and is_url("zip://a.csv::s3://b/k.zip")
    assert not any(map(is_url, ("a:b", "/a://b", "1s3://b", "a/b")))


def test_the_first_policy_that_matches_counts() -> None:
    places = FilePlaces(
        {"project": "/p"},
        [
            ("raw/special.bam", "content"),
            ("*.bam", "stat"),
            ("data/**", Policy.IMMUTABLE),
            ("s3://b/*/x[0-9].[!c]sv", "stat"),
            ("/abs/?", "stat"),
        ],
    )

    found = {
        path: places.policy(path)
        for path in (
            "/p/raw/special.bam",
            "/p/a/b.bam",
            "/p/data/a/b.csv",
            "/p/a.csv",
            "s3://b/k/x1.tsv",
            "s3://b/k/l/x1.tsv",
            "/abs/a",
            "/abs/ab",
        )
    }

    assert [str(policy) for policy in found.values()] == [
        "content",
        "stat",
        "immutable",
        "content",
        "stat",
        "content",
        "stat",
        "content",
    ]


def test_two_stars_match_any_number_of_folders() -> None:
    places = FilePlaces({"project": "/p"}, [("a/**/z.txt", "stat"), ("x[", "stat")])

    assert places.policy("/p/a/z.txt") is Policy.STAT
    assert places.policy("/p/a/b/c/z.txt") is Policy.STAT
    assert places.policy("/p/b/a/z.txt") is Policy.CONTENT
    assert places.policy("/q/x[") is Policy.STAT


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="never"):
        FilePlaces({}, [("*", "never")])


def test_places_travel_to_other_processes(tmp_path: Path) -> None:
    places = FilePlaces({"project": tmp_path}, [("*", "stat")], 5, tmp_path / "cache")

    copy = pickle.loads(pickle.dumps(places))

    assert copy == places
    assert hash(copy) == hash(places)
    assert copy.name(f"{tmp_path}/a") == Place("project", "a")


def test_using_places_gives_back_those_until_now() -> None:
    first, second = FilePlaces({"a": "/a"}), FilePlaces({"b": "/b"})

    use_places(first)

    assert use_places(second) is first
    assert current_places() is second


def test_names_that_are_no_utf8_can_be_shown() -> None:
    assert printable(os.fsdecode(b"caf\xe9.txt")) == r"caf\xe9.txt"
    assert printable("café.txt") == "café.txt"


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/home/ada"},
        {"HOME": "/home/ada/"},
        {"HOME": "/"},
        {"HOME": ""},
        {"HOME": "here"},
        {},
        {"HOME": "/home/ada", "XDG_CACHE_HOME": "/var/caches"},
        {"HOME": "/home/ada", "XDG_CACHE_HOME": "/var/caches/"},
        {"HOME": "/home/ada", "XDG_CACHE_HOME": "caches"},
        {"HOME": "/home/ada", "XDG_CACHE_HOME": ""},
        {"XDG_CACHE_HOME": "/var/caches"},
    ],
)
def test_the_users_caches_are_where_platformdirs_says(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in environment.items():
        monkeypatch.setenv(name, folder)

    assert user_cache_folder() == platformdirs.user_cache_dir("taskgraph")
