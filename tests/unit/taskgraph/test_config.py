"""Settings: where they come from, which one wins, and what is refused."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler
from taskgraph.config import (
    DEFAULT_CONFIG,
    Settings,
    find_config_dir,
    load_settings,
    setting_names,
    settings_of,
    write_default_config,
)
from taskgraph.errors import ConfigError, UnknownSettingError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("TASKGRAPH_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / ".taskgraph"
    folder.mkdir(parents=True)
    return folder


def write(config_dir: Path, text: str) -> Path:
    path = config_dir / "config.toml"
    path.write_text(text)
    return path


def test_without_any_file_the_defaults_hold(config_dir: Path) -> None:
    settings = load_settings(config_dir)

    assert settings.backend.db_uri == f"sqlite:///{config_dir}/taskgraph.db"
    assert settings.backend.max_value_size == 256 * 1024**2
    assert settings.roots == {"project": config_dir.parent}
    assert settings.scheduler.executor == "threads"
    assert settings.project_dir == config_dir.parent


def test_each_source_wins_over_the_one_before(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config_dir.parent / "pyproject.toml").write_text(
        '[tool.taskgraph.roots]\na = "/1"\nb = "/1"\nc = "/1"\nd = "/1"\n'
    )
    write(config_dir, '[roots]\nb = "/2"\nc = "/2"\nd = "/2"\n')
    monkeypatch.setenv("TASKGRAPH_ROOTS__C", "/3")
    monkeypatch.setenv("TASKGRAPH_ROOTS__D", "/3")

    settings = load_settings(config_dir, {"roots.d": "/4"})

    assert {name: str(settings.roots[name]) for name in "abcd"} == {
        "a": "/1",
        "b": "/2",
        "c": "/3",
        "d": "/4",
    }


def test_an_unknown_key_names_the_nearest(config_dir: Path) -> None:
    path = write(config_dir, '[backend]\ndb_url = "sqlite://"\n')

    with pytest.raises(UnknownSettingError) as caught:
        load_settings(config_dir)

    assert caught.value.nearest == "backend.db_uri"
    assert str(path) in str(caught.value)


def test_an_unknown_section_names_the_nearest(config_dir: Path) -> None:
    write(config_dir, '[root]\ndata = "/data"\n')

    with pytest.raises(UnknownSettingError, match="'roots'"):
        load_settings(config_dir)


@pytest.mark.parametrize(
    "text",
    [
        "[groups]\napi = 4",
        '[scheduler]\nignore_errors = ["namespace"]',
    ],
)
def test_a_setting_that_nothing_reads_is_refused(config_dir: Path, text: str) -> None:
    write(config_dir, text)

    with pytest.raises(UnknownSettingError):
        load_settings(config_dir)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("[backend]\ndb_uri = 3", "backend.db_uri", "text"),
        ('[backend]\nautomigrate = "yes"', "backend.automigrate", "true or false"),
        ('[backend]\nsynchronous = "off"', "backend.synchronous", 'one of "normal", "full"'),
        ('[backend]\nmax_value_size = "big"', "backend.max_value_size", "a size"),
        ("[roots]\ndata = 1", "roots.data", "text"),
        ("[executors.threads]\nmax_workers = -1", "executors.threads.max_workers", "1 or more"),
        ("[executors.threads]\nmax_workers = true", "executors.threads.max_workers", "1 or more"),
        ("[executors.threads]\nmax_workers = 0", "executors.threads.max_workers", "1 or more"),
        ("[scheduler]\njob_status_interval = 0", "scheduler.job_status_interval", "above 0"),
        ('[files.policies]\n"*.bam" = "date"', "files.policies.*.bam", '"content"'),
        (
            '[executors.processes]\nstart_method = "fork"',
            "executors.processes.start_method",
            'one of "spawn", "forkserver"',
        ),
        ('[scheduler]\nignore_warnings = "names"', "scheduler.ignore_warnings", '"namespace"'),
        ("[scheduler]\nignore_warnings = 1", "scheduler.ignore_warnings", '"namespace"'),
        ("[scheduler.executor]\nname = 1", "scheduler.executor", "text"),
        ("[executors]\nthreads = 3", "executors.threads", "a table"),
        ("roots = 3", "roots", "a table"),
        ('[files]\npolicies = "stat"', "files.policies", "a table of globs"),
    ],
)
def test_a_wrong_type_says_file_key_and_what_was_expected(
    config_dir: Path, text: str, key: str, expected: str
) -> None:
    path = write(config_dir, text)

    with pytest.raises(ConfigError) as caught:
        load_settings(config_dir)

    assert str(caught.value).startswith(f"{path}: {key}: expected")
    assert expected in str(caught.value)


def test_a_file_that_is_not_toml_is_named(config_dir: Path) -> None:
    path = write(config_dir, "[backend")

    with pytest.raises(ConfigError, match="not TOML") as caught:
        load_settings(config_dir)

    assert caught.value.place == str(path)


def test_variables_are_filled_in(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    write(config_dir, '[backend]\ndb_uri = "postgresql://me:${PASSWORD}@host/$${db}"\n')

    settings = load_settings(config_dir)

    assert settings.backend.db_uri == "postgresql://me:secret@host/${db}"


def test_a_variable_that_is_not_set_is_an_error(config_dir: Path) -> None:
    write(config_dir, '[roots]\ndata = "${NOT_SET_ANYWHERE}/x"\n')

    with pytest.raises(ConfigError, match=r"roots.data: .*'NOT_SET_ANYWHERE' is not set"):
        load_settings(config_dir)


def test_the_environment_is_read_by_type(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKGRAPH_BACKEND__AUTOMIGRATE", "false")
    monkeypatch.setenv("TASKGRAPH_BACKEND__MAX_VALUE_SIZE", "1.5 GB")
    monkeypatch.setenv("TASKGRAPH_EXECUTORS__BIG__TYPE", "processes")
    monkeypatch.setenv("TASKGRAPH_EXECUTORS__BIG__MAX_WORKERS", "7")
    monkeypatch.setenv("TASKGRAPH_SCHEDULER__JOB_STATUS_INTERVAL", "2.5")

    settings = load_settings(config_dir)

    assert settings.backend.automigrate is False
    assert settings.backend.max_value_size == 1_500_000_000
    assert settings.executors["big"].max_workers == 7
    assert settings.scheduler.job_status_interval == 2.5


def test_a_wrong_variable_is_named(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = "TASKGRAPH_EXECUTORS__BIG__MAX_WORKERS"
    monkeypatch.setenv("TASKGRAPH_EXECUTORS__BIG__TYPE", "threads")
    monkeypatch.setenv(variable, "many")

    with pytest.raises(
        ConfigError, match=rf"{variable}: executors.big.max_workers: expected .* 'many'"
    ):
        load_settings(config_dir)


def test_one_underscore_for_two_is_an_error(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKGRAPH_BACKEND_DB_URI", "sqlite://")

    with pytest.raises(UnknownSettingError, match="TASKGRAPH_BACKEND__DB_URI"):
        load_settings(config_dir)


def test_variables_of_others_are_left_alone(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKGRAPH_TORTURE", "1")

    assert load_settings(config_dir) == load_settings(config_dir)


def test_relative_paths_start_from_the_project(config_dir: Path) -> None:
    write(
        config_dir,
        '[backend]\ndb_uri = "sqlite:///data/x.db"\n[roots]\nraw = "raw"\nup = "../up"\n',
    )

    settings = load_settings(config_dir)

    project = config_dir.parent
    assert settings.backend.db_uri == f"sqlite:///{project}/data/x.db"
    assert settings.roots["raw"] == project / "raw"
    assert settings.roots["up"] == project.parent / "up"


def test_the_project_root_cannot_be_moved(config_dir: Path) -> None:
    write(config_dir, '[roots]\nproject = "/elsewhere"\n')

    with pytest.raises(ConfigError, match="kept for the project folder"):
        load_settings(config_dir)


def test_an_executor_needs_a_type_unless_it_is_built_in(config_dir: Path) -> None:
    write(config_dir, "[executors.threads]\nmax_workers = 3\n[executors.big]\nmax_workers = 3\n")

    with pytest.raises(ConfigError, match=r"executors.big: needs a type"):
        load_settings(config_dir)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[executors.farm]\nclass = "slurm"\n', "executors.farm.class: expected a class"),
        ('[executors.threads]\nclass = "a:B"\n', 'has no meaning for "threads"'),
        ("[executors.inline]\nmax_workers = 3\n", 'has no meaning for "inline"'),
        ('[executors.threads]\nstart_method = "spawn"\n', 'has no meaning for "threads"'),
        ("[executors.farm]\nmax_workers = 3\n", "needs a type"),
    ],
)
def test_an_executor_is_of_a_type_and_has_its_settings_only(
    config_dir: Path, text: str, reason: str
) -> None:
    write(config_dir, text)

    with pytest.raises(ConfigError, match=re.escape(reason)):
        load_settings(config_dir)


def test_a_built_in_executor_has_no_keys_of_its_own(config_dir: Path) -> None:
    write(config_dir, '[executors.big]\ntype = "threads"\nmax_worker = 3\n')

    with pytest.raises(UnknownSettingError, match=r"executors\.big\.max_workers"):
        load_settings(config_dir)


def test_an_executor_that_is_not_there_is_refused(config_dir: Path) -> None:
    with pytest.raises(ConfigError, match=r"no executor 'threat' .*inline, .*, threads"):
        load_settings(config_dir, {"scheduler.executor": "threat"})


def test_the_nearest_config_dir_upward_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".taskgraph").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)

    found = find_config_dir(deep)
    monkeypatch.setenv("TASKGRAPH_CONFIG", str(tmp_path / "elsewhere"))

    assert found == tmp_path / ".taskgraph"
    assert find_config_dir(deep) == tmp_path / "elsewhere"
    assert find_config_dir(deep, given=tmp_path / "given") == tmp_path / "given"


def test_without_any_config_dir_it_is_that_of_the_folder(tmp_path: Path) -> None:
    assert find_config_dir(tmp_path) == tmp_path / ".taskgraph"


def test_where_there_is_none_it_may_be_looked_for_from_another_folder(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there" / "deep"
    for folder in (here, there):
        folder.mkdir(parents=True)

    assert find_config_dir(here, otherwise=there) == there / ".taskgraph"
    (tmp_path / "there" / ".taskgraph").mkdir()
    assert find_config_dir(here, otherwise=there) == tmp_path / "there" / ".taskgraph"
    (here / ".taskgraph").mkdir()
    assert find_config_dir(here, otherwise=there) == here / ".taskgraph"


def test_default_config_is_written_once_and_says_the_defaults(config_dir: Path) -> None:
    before = load_settings(config_dir)

    first = write_default_config(config_dir)
    second = write_default_config(config_dir)

    assert (first, second) == (True, False)
    assert load_settings(config_dir) == before
    assert [path.name for path in config_dir.iterdir()] == ["config.toml"]


def test_default_config_never_overwrites(config_dir: Path) -> None:
    path = write(config_dir, '[roots]\ndata = "/data"\n')

    assert write_default_config(config_dir) is False
    assert path.read_text() == '[roots]\ndata = "/data"\n'


def test_a_new_folder_lets_only_its_settings_be_committed(tmp_path: Path) -> None:
    folder = tmp_path / "project" / ".taskgraph"

    write_default_config(folder)

    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "config.toml"]
    assert (folder / ".gitignore").read_text() == "*\n!.gitignore\n!config.toml\n"


def test_a_gitignore_that_is_there_is_never_touched(tmp_path: Path) -> None:
    folder = tmp_path / ".taskgraph"
    write_default_config(folder)
    (folder / ".gitignore").write_text("mine\n")
    (folder / "config.toml").unlink()

    written = write_default_config(folder)

    assert written is True
    assert (folder / ".gitignore").read_text() == "mine\n"


def test_a_folder_that_was_there_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "flow.py").touch()

    write_default_config(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "flow.py"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").touch()

    with pytest.raises(ConfigError, match="cannot be written"):
        write_default_config(tmp_path / ".taskgraph")


def test_settings_made_by_hand_are_complete(config_dir: Path) -> None:
    settings = Settings(config_dir)

    assert settings.project_dir == config_dir.parent
    assert settings.scheduler == load_settings(config_dir).scheduler
    assert settings.executors == load_settings(config_dir).executors


def test_default_config_names_every_setting() -> None:
    missing = [
        name
        for name in setting_names()
        if name.rpartition(".")[2] not in ("NAME", "GLOB", "OPTION", "PATH", "ARGUMENT")
        and f"# {name.rpartition('.')[2]} =" not in DEFAULT_CONFIG
    ]

    assert missing == []


def test_default_config_holds_when_its_comments_are_removed(config_dir: Path) -> None:
    lines = DEFAULT_CONFIG.splitlines()
    shown = [each.removeprefix("# ") if "=" in each or "[" in each else each for each in lines]
    prose = [each for each in shown if not each.startswith(("Settings", "An env", "the env"))]
    write(config_dir, "\n".join(prose).replace("sqlite:///.task", "sqlite:///.task"))

    settings = load_settings(config_dir)

    defaults = load_settings(config_dir.parent / "other" / ".taskgraph")
    assert settings.backend == type(settings.backend)(settings.backend.db_uri, automigrate=True)
    assert settings.scheduler.executor == defaults.scheduler.executor
    assert settings.files.ask_above == defaults.files.ask_above


def test_settings_travel_to_other_processes(config_dir: Path) -> None:
    settings = load_settings(config_dir)

    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_config_that_is_there_is_not_written_where_nothing_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_dir = tmp_path / ".taskgraph"
    write_default_config(config_dir)

    def full(*args: object, **named: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)

    assert write_default_config(config_dir) is False
    (config_dir / "config.toml").unlink()
    with pytest.raises(ConfigError, match="No space"):
        write_default_config(config_dir)
    assert [each.name for each in config_dir.iterdir() if each.name.startswith(".config")] == []


@pytest.mark.parametrize("given", ["folder", Path("folder"), 5, {1: 2}], ids=str)
def test_what_is_no_settings_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="expected Settings, or a dict of them by name"):
        settings_of(given)


@pytest.mark.parametrize("name", ["settings", "config"])
def test_a_scheduler_says_what_its_settings_may_be(name: str) -> None:
    with pytest.raises(ConfigError, match="load_settings"):
        Scheduler(**{name: "folder"})


def test_one_variable_says_who_works_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(tmp_path / ".taskgraph").user.email == ""
    monkeypatch.setenv("TASKGRAPH_USER", "ada@x.org")

    assert load_settings(tmp_path / ".taskgraph").user.email == "ada@x.org"
    monkeypatch.delenv("TASKGRAPH_USER")
    monkeypatch.setenv("TASKGRAPH_USER_EMAIL", "ada@x.org")
    with pytest.raises(UnknownSettingError, match="TASKGRAPH_USER__EMAIL"):
        load_settings(tmp_path / ".taskgraph")
