"""Tasks are collected from code as an operation; a version is there once, and used or put aside."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.catalog.operations import Operation, Status
from taskgraph.errors import (
    AmbiguousIdError,
    ConflictError,
    DuplicatePackageError,
    InactiveTaskError,
    NotFoundError,
    PackageInUseError,
    PackageNotFoundError,
    PermissionDeniedError,
    SecretError,
    UserGroupNotFoundError,
    UserInUseError,
    UserNotFoundError,
    ValidationError,
)
from taskgraph_backend.catalog import package_uses
from tests.integration.test_people import at_once

FLOW = '''
"""A flow."""
from taskgraph import task
from packed_elsewhere import imported

taskgraph_namespace = "packed"
__version__ = "1.0"


@task
def read(path: str) -> str:
    """Read a file.

    All of it.
    """
    return path


@task(version="7")
def write(text: str) -> str:
    return text
'''
ELSEWHERE = """
from taskgraph import task

@task(namespace="packed_elsewhere")
def imported() -> int:
    return 1
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which modules are imported, with a script in it."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    put(folder, "packed_elsewhere.py", ELSEWHERE)
    put(folder, "packed_flow.py", FLOW)
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return path


def a_task(name: str, body: str = "return 1", namespace: str = "packed") -> str:
    return (
        f'from taskgraph import task\n\n\n@task(namespace="{namespace}")\n'
        f"def {name}() -> int:\n    {body}\n"
    )


def a_distribution(folder: Path, name: str, version: str, entry_points: str = "") -> None:
    """Install what the folder has: what a wheel would leave beside it."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    top = name.replace("-", "_")
    put(
        folder,
        f"{info}/METADATA",
        f"""
        Metadata-Version: 2.1
        Name: {name}
        Version: {version}
        Requires-Dist: numpy (>=1.0)
        Requires-Dist: tool @ https://ada:canary@example.org/tool.tar.gz
        """,
    )
    put(folder, f"{info}/top_level.txt", f"{top}\n")
    put(folder, f"{info}/entry_points.txt", entry_points)


def ok(operation: Operation) -> Operation:
    assert operation.status is Status.OK, operation.log
    return operation


def names(found: Any) -> list[str]:
    return [each.name for each in found.tasks]


def recorded(tg: Archive) -> list[tuple[str, str]]:
    """Return the names and the hashes of all tasks whose code is recorded."""
    rows = tg.backend._ask(lambda driver: driver.execute("SELECT name, hash FROM task").fetchall())
    return [(name, bytes(code).hex()) for name, code in rows]


# Collecting


def test_the_tasks_of_a_file_are_collected_with_their_code(tg: Archive, code: Path) -> None:
    done = ok(tg.packages.collect(code / "packed_flow.py"))

    found = tg.packages.get("packed_flow")
    assert (found.label, found.active, found.last_used_at) == ("packed_flow@1.0", True, None)
    assert (found.owner, found.group) == (None, None)
    assert names(found) == ["packed.read", "packed.write"]
    read, write = found.tasks
    assert (read.description, read.version, write.description) == ("Read a file.", None, "")
    assert (write.version, read.input_type, read.output_type) == ("7", "Any", "Any")
    assert read.args_schema["type"] == "object"
    assert any(each.startswith("pytest==") for each in str(found.frozen).splitlines())
    assert done.kind == "collect"
    assert done.subject == str(code / "packed_flow.py")
    assert dict(done.data) == {
        "name": "packed_flow", "version": "1.0", "tasks": 2, "package": found.id,
        "label": "packed_flow@1.0", "is_new": True,
    }  # fmt: skip
    assert "task packed.read" in str(done.log)
    # The code is recorded as a run records it.
    shown = tg.get(read.task_hash)
    assert "def read(path: str)" in str(shown)
    for ref in ("packed_flow@1.0", found.id, found.id[:8], found):
        assert tg.packages.get(ref) == found


def test_a_task_that_is_collected_has_the_hash_that_a_run_gives_it(
    tg: Archive, recording: Scheduler, code: Path
) -> None:
    put(code, "packed_hash.py", a_task("one", namespace="packed_hash"))
    ok(tg.packages.collect("packed_hash", version="1"))
    from taskgraph.tasks.registry import get_task_registry

    recording.run(get_task_registry().get("packed_hash.one")())

    (found,) = tg.packages.get("packed_hash").tasks
    assert [code for name, code in recorded(tg) if name == "one"] == [found.task_hash]


def test_what_looks_like_a_secret_in_the_code_of_a_task_is_left_out_and_keeps_nobody_from_using_it(
    tg: Archive, code: Path
) -> None:
    # As one process has it that collected the code, and another one that has not.
    key = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    text = f"""
from typing import Literal
from taskgraph import task

@task(namespace="packed_keys")
def look(files: list[str], place: Literal["here", "{key}"] = "here", by: str = "{key}") -> int:
    return len(files)
"""
    put(code, "packed_keys.py", text)
    ok(tg.packages.collect("packed_keys", version="1"))
    (found,) = tg.packages.get("packed_keys").tasks
    taskgraph.get_task_registry()._tasks.pop("packed_keys.look")

    made = tg.workflows.create("w", steps=[("packed_keys.look", {"place": "there"})])

    assert key not in str(found)
    assert made.steps[0].args == {"place": "there"}


def test_a_module_is_collected_with_all_below_it(tg: Archive, code: Path) -> None:
    put(code, "packed_a/__init__.py", '__version__ = "2.1"\n')
    put(code, "packed_a/one.py", a_task("one", namespace="pa"))
    put(code, "packed_a/below/__init__.py", "from packed_elsewhere import imported\n")
    put(code, "packed_a/below/two.py", a_task("two", namespace="pa"))
    for aside in ("tests/test_x.py", "__main__.py", "conftest.py", "test_y.py"):
        put(code, f"packed_a/{aside}", "raise RuntimeError('it is imported')\n")
    put(code, "packed_a/tests/__init__.py", "raise RuntimeError('it is imported')\n")

    ok(tg.packages.collect("packed_a"))
    ok(tg.packages.collect("packed_a.below", version="x"))

    assert names(tg.packages.get("packed_a@2.1")) == ["pa.one", "pa.two"]
    assert names(tg.packages.get("packed_a.below@x")) == ["pa.two"]


def test_a_distribution_is_collected_by_its_entry_points(tg: Archive, code: Path) -> None:
    put(code, "packed_b/__init__.py", "")
    put(code, "packed_b/flows.py", a_task("one", namespace="pb"))
    put(code, "packed_b/broken.py", "raise RuntimeError('it is imported')\n")
    points = "[taskgraph.tasks]\nflows = packed_b.flows\n"
    a_distribution(code, "packed-b", "1.4", points)

    ok(tg.packages.collect("packed-b", version=None))

    found = tg.packages.get("packed-b@1.4")
    assert (names(found), found.origin) == (["pb.one"], "distribution packed-b")
    assert found.requirements[0].startswith("numpy")
    assert "canary" not in str(found.to_json())
    assert "packed-b==1.4" in str(found.frozen).splitlines()


def test_a_distribution_without_entry_points_is_its_packages(tg: Archive, code: Path) -> None:
    put(code, "packed_c/__init__.py", "")
    put(code, "packed_c/flows.py", a_task("one", namespace="pc"))
    a_distribution(code, "packed-c", "3")

    ok(tg.packages.collect("packed-c"))
    ok(tg.packages.collect("packed_c"))

    for name in ("packed-c", "packed_c"):  # as a distribution, and as a module of it
        found = tg.packages.get(name)
        assert (found.version, names(found)) == ("3", ["pc.one"])
        assert found.requirements


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("packed_x1.py", "1 / 0\n", "ZeroDivisionError"),
        ("packed_x2.py", "def f(:\n", "SyntaxError"),
        ("packed_x3.py", "import packed_none\n", "packed_none"),
        ("packed_x4.py", "x = 1\n", "there is no task in it"),
        ("packed_x5.py", a_task("one") + "raise SystemExit(3)\n", "SystemExit"),
        ("packed_x6.py", "raise RuntimeError('ghp_canary: it is wrong')\n", "it is wrong"),
    ],
)
def test_what_code_says_wrong_ends_the_operation_and_nothing_is_kept(
    tg: Archive, code: Path, name: str, text: str, said: str
) -> None:
    put(code, name, text)

    done = tg.packages.collect(str(code / name), version="1")

    assert done.status is Status.FAILED
    assert said in str(done.error)
    assert "canary" not in str(done.to_json())
    assert (tg.packages.list(), tg.operations.list(status="failed")) == ([], [done])
    assert recorded(tg) == []


@pytest.mark.parametrize("name", ["packed_nowhere", "packed-nowhere", "nowhere.py", "a/b", ".x"])
def test_what_is_nowhere_ends_the_operation(tg: Archive, name: str) -> None:
    done = tg.packages.collect(name, version="1")

    assert (done.status, done.subject) == (Status.FAILED, name)
    assert "Cannot load" in str(done.error)


def test_a_broken_module_below_ends_the_operation(tg: Archive, code: Path) -> None:
    put(code, "packed_d/__init__.py", "")
    put(code, "packed_d/one.py", a_task("one", namespace="pd"))
    put(code, "packed_d/two.py", "import packed_none\n")

    done = tg.packages.collect("packed_d", version="1")

    assert (done.status, tg.packages.list()) == (Status.FAILED, [])
    assert "two.py" in str(done.log)


def test_what_cannot_be_done_is_said_before_or_ends_the_operation(tg: Archive, code: Path) -> None:
    put(code, "packed_e.py", a_task("one"))
    tg.users.create("ada@x.org")
    tg.user_groups.create("climate")

    with pytest.raises(ValidationError, match=r"packed_e says none.*--version"):
        tg.packages.collect("packed_e")
    with pytest.raises(UserNotFoundError):
        tg.packages.collect("packed_e", owner="bob")
    with pytest.raises(UserGroupNotFoundError):
        tg.packages.collect("packed_e", group="none")
    with pytest.raises(ValidationError, match="is not in 'climate'"):
        tg.packages.collect("packed_e", owner="ada@x.org", group="climate")
    for version in ("whsec_canary", "1@2", " "):
        with pytest.raises((SecretError, ValidationError)) as caught:
            tg.packages.collect("packed_e", version=version)
        assert "canary" not in str(caught.value)
    assert [each.status.value for each in tg.operations.list()] == ["failed"]
    assert tg.packages.list() == []


def test_who_left_the_group_meanwhile_has_no_package_of_it(tg: Archive, code: Path) -> None:
    from taskgraph.assembly.collecting import collect as look

    found = look(tg.settings, str(put(code, "packed_t.py", a_task("one"))))
    tg.users.create("ada@x.org")
    tg.user_groups.create("climate")
    tg.user_groups.add("climate", "ada@x.org")

    def leaving(_: str) -> Any:
        tg.user_groups.remove("climate", "ada@x.org")
        return found

    tg.packages._collector = leaving
    with pytest.raises(ValidationError, match=r"ada@x\.org is not in it any more"):
        tg.packages.collect("packed_t", version="1", owner="ada@x.org", group="climate")

    assert tg.packages.list() == []
    assert [each.status for each in tg.operations.list()] == [Status.FAILED]


# Versions, and whose they are


def test_the_same_again_changes_nothing_and_other_code_is_another_version(
    tg: Archive, code: Path
) -> None:
    file = put(code, "packed_f.py", a_task("one"))
    first = ok(tg.packages.collect(file, version="1"))
    again = ok(tg.packages.collect(file, version="1"))
    file.write_text(a_task("one", "return 2"))

    with pytest.raises(DuplicatePackageError, match=r"Everybody has.*packed_f 1 already") as caught:
        tg.packages.collect(file, version="1")
    later = ok(tg.packages.collect(file, version="2"))

    assert isinstance(caught.value, ConflictError)
    assert (again.data["package"], again.data["is_new"]) == (first.data["package"], False)
    assert tg.operations.list(status="failed")[0].error == str(caught.value)
    assert [each.label for each in tg.packages.list()] == ["packed_f@2", "packed_f@1"]
    assert tg.packages.get("packed_f").id == later.data["package"]
    tg.packages.activate("packed_f@1")
    assert tg.packages.get("packed_f").label == "packed_f@1"


def active(tg: Archive) -> list[str]:
    return [each.label for each in tg.packages.list(active=True)]


def test_of_an_owner_one_version_of_a_package_is_active(tg: Archive, code: Path) -> None:
    file = put(code, "packed_p.py", a_task("one"))
    tg.users.create("ada@x.org", username="ada")
    first = ok(tg.packages.collect(file, version="1"))
    ok(tg.packages.collect(file, version="1", owner="ada"))
    tg.executions.create("packed.one")

    second = ok(tg.packages.collect(file, version="2"))

    assert "put_aside" not in first.data
    assert second.data["put_aside"] == ["packed_p@1"]
    assert active(tg) == ["packed_p@2", "packed_p@1"]  # and that is hers
    mine = tg.packages.get(first.data["package"])
    assert not mine.active
    assert tg.packages.activate(mine).active
    assert not tg.packages.get("packed_p@2").active
    assert len(tg.packages.list(owner="ada", active=True)) == 1
    # The same once more is no news, and changes nothing.
    assert ok(tg.packages.collect(file, version="2")).data["is_new"] is False
    assert tg.packages.get(mine).active


def test_a_version_does_not_take_the_place_of_one_whose_tasks_it_has_not(
    tg: Archive, code: Path
) -> None:
    file = put(code, "packed_q.py", a_task("one") + a_task("two"))
    ok(tg.packages.collect(file, version="1"))
    made = tg.executions.create("packed.two").execution
    file.write_text(a_task("one"))

    with pytest.raises(PackageInUseError, match=f"packed_q@1 are .* execution {made.id[:8]}"):
        tg.packages.collect(file, version="2")
    assert active(tg) == ["packed_q@1"]
    assert tg.packages.count() == 1
    assert tg.operations.list()[0].status is Status.FAILED
    tg.executions.set_state(made, "CANCELLED")
    ok(tg.packages.collect(file, version="2"))
    tg.packages.activate("packed_q@1")
    tg.executions.create("packed.two")
    with pytest.raises(PackageInUseError):
        tg.packages.activate("packed_q@2")
    assert active(tg) == ["packed_q@1"]


def test_where_two_versions_are_active_one_can_be_put_aside(tg: Archive, code: Path) -> None:
    """As databases have it that were written before one alone could be."""
    file = put(code, "packed_r.py", a_task("one"))
    for version in ("1", "2", "3"):
        ok(tg.packages.collect(file, version=version))
    tg.executions.create("packed.one")

    def have_all_be_active() -> None:
        sql = "UPDATE task_package SET active = TRUE"
        tg.backend._transact(lambda driver: driver.execute(sql))

    have_all_be_active()
    for version in ("1", "3"):
        tg.packages.deactivate(f"packed_r@{version}")
    with pytest.raises(PackageInUseError):
        tg.packages.deactivate("packed_r@2")
    assert tg.packages.delete("packed_r@1")
    have_all_be_active()
    tg.packages.activate("packed_r@3")

    assert active(tg) == ["packed_r@3"]


def test_of_versions_that_become_active_at_once_one_is(
    database_uri: str, tg: Archive, code: Path
) -> None:
    from taskgraph.assembly.collecting import collect as look

    file = put(code, "packed_s.py", a_task("one"))
    found = look(tg.settings, str(file))

    def collect(number: int) -> Any:
        with taskgraph.open(database_uri) as mine:
            mine.packages._collector = lambda _: found  # imports are of one thread
            mine.packages.collect(str(file), version=str(number))
            return mine.packages.activate(f"packed_s@{number}").label

    answers = at_once(4, collect)

    assert sorted(answers) == [f"packed_s@{number}" for number in range(4)]
    assert len(active(tg)) == 1


def test_a_task_that_is_gone_from_a_file_is_in_no_later_version(tg: Archive, code: Path) -> None:
    file = put(code, "packed_g.py", a_task("one") + a_task("two"))
    ok(tg.packages.collect(file, version="1"))
    file.write_text(a_task("one"))
    ok(tg.packages.collect(file, version="2"))

    assert names(tg.packages.get("packed_g@1")) == ["packed.one", "packed.two"]
    assert names(tg.packages.get("packed_g@2")) == ["packed.one"]


def test_a_version_is_there_once_for_each_owner_and_each_group(tg: Archive, code: Path) -> None:
    file = put(code, "packed_h.py", a_task("one"))
    for each in ("ada", "bob", "eve"):
        tg.users.create(f"{each}@x.org", username=each)
    for group in ("climate", "weather"):
        tg.user_groups.create(group)
        tg.user_groups.add(group, "ada")
    whose: list[dict[str, Any]] = [
        {}, {"owner": "ada"}, {"owner": "bob"}, {"group": "climate"}, {"group": "weather"},
    ]  # fmt: skip
    ids = [ok(tg.packages.collect(file, version="1", **each)).data["package"] for each in whose]
    file.write_text(a_task("one", "return 2"))

    assert len(set(ids)) == len(whose)
    for each in whose:
        with pytest.raises(DuplicatePackageError):
            tg.packages.collect(file, version="1", **each)
    # An owner has a version once, in whatever group.
    with pytest.raises(DuplicatePackageError, match=r"ada@x\.org has"):
        tg.packages.collect(file, version="1", owner="ada", group="climate")
    with pytest.raises(AmbiguousIdError):
        tg.packages.get("packed_h@1")

    def seen(**given: Any) -> set[str]:
        return {each.id for each in tg.packages.list(**given)}

    nobodys, adas, bobs, climate, weather = ids
    assert seen(visible_to="ada") == {nobodys, adas, climate, weather}
    assert seen(visible_to="bob") == {nobodys, bobs}
    assert seen(visible_to="eve") == {nobodys}
    assert seen(owner="ada") == {adas}
    assert seen(group="climate") == {climate}
    assert seen(owner="ada", visible_to="bob") == set()
    assert tg.packages.count(visible_to="ada", active=True) == 4
    assert seen(name="PACKED_H") == set(ids)
    assert len(tg.packages.list(limit=2, offset=4)) == 1
    with pytest.raises(UserNotFoundError):
        tg.packages.list(visible_to="none")
    with pytest.raises(UserInUseError, match="package packed_h@1"):
        tg.users.delete("bob")
    with pytest.raises(UserInUseError, match="package packed_h@1"):
        tg.user_groups.delete("weather")
    tg.packages.delete(bobs)
    assert tg.users.delete("bob")


def test_of_many_who_collect_one_version_at_once_one_makes_it(
    database_uri: str, tg: Archive, code: Path
) -> None:
    from taskgraph.assembly.collecting import collect as look

    file = put(code, "packed_i.py", a_task("one"))
    found = look(tg.settings, str(file))

    def collect(_: int) -> Any:
        with taskgraph.open(database_uri) as mine:
            mine.packages._collector = lambda _: found  # imports are of one thread
            return ok(mine.packages.collect(str(file), version="1")).data

    answers = at_once(6, collect)

    assert [each for each in answers if isinstance(each, Exception)] == []
    assert len({each["package"] for each in answers}) == 1
    assert sorted(each["is_new"] for each in answers) == [False] * 5 + [True]
    assert len(tg.packages.list()) == 1
    assert tg.operations.count(status="ok") == 6


_COLLECTS = """
import sys
import taskgraph
from taskgraph.errors import DuplicatePackageError

uri, file = sys.argv[1:]
with taskgraph.open(uri) as tg:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(tg.packages.collect(file, version="1").data["is_new"])
    except DuplicatePackageError:
        print("duplicate")
"""


def test_of_two_processes_that_collect_other_code_as_one_version_one_does(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    def start(number: int) -> Any:
        file = put(tmp_path, f"{number}/packed_j.py", a_task("one", f"return {number}"))
        return subprocess.Popen(
            [sys.executable, "-c", _COLLECTS, database_uri, str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    with start(1) as one, start(2) as other:
        for each in (one, other):
            assert each.stdout.readline() == "ready\n"
        for each in (one, other):
            each.stdin.write("go\n")
            each.stdin.flush()
        answers = sorted(each.stdout.read().strip() for each in (one, other))

    assert answers == ["True", "duplicate"]
    assert [each.label for each in tg.packages.list()] == ["packed_j@1"]
    assert sorted(each.status.value for each in tg.operations.list()) == ["failed", "ok"]


# In use


@task(namespace="packed_used", version="1")
def used(files: list[Any]) -> int:
    return len(files)


@pytest.fixture
def package(tg: Archive, code: Path) -> str:
    """A package with a task that executions and workflows use."""
    put(code, "packed_k.py", a_task("used", namespace="packed_used"))
    ok(tg.packages.collect("packed_k", version="1"))
    return "packed_k@1"


def test_what_an_active_execution_runs_is_in_use(tg: Archive, package: str) -> None:
    made = tg.executions.create("packed_used.used").execution
    tg.executions.create("packed_used.other")

    for verb in (tg.packages.deactivate, tg.packages.delete):
        with pytest.raises(PackageInUseError, match=f"execution {made.id[:8]}") as caught:
            verb(package)
    assert isinstance(caught.value, ConflictError)
    assert tg.packages.get(package).active
    assert tg.packages.activate(package).active
    for state in ("RUNNING", "COMPLETED"):
        tg.executions.set_state(made, state)
    assert not tg.packages.deactivate(package).active
    assert tg.packages.delete(package)
    assert tg.packages.find(package) is None


def test_what_a_step_of_an_active_execution_runs_is_in_use(tg: Archive, package: str) -> None:
    flow = tg.workflows.create("w", steps=["packed_other.first", used])
    made = tg.executions.create("w", workflow=flow).execution

    with pytest.raises(PackageInUseError, match=f"execution {made.id[:8]}"):
        tg.packages.deactivate(package)
    with pytest.raises(PackageInUseError, match=f"execution {made.id[:8]}, workflow w@1"):
        tg.packages.delete(package)
    tg.executions.set_state(made, "CANCELLED")
    assert not tg.packages.deactivate(package).active
    with pytest.raises(PackageInUseError, match="in use by workflow w@1"):
        tg.packages.delete(package)
    with pytest.raises(PackageInUseError):
        tg.packages.delete(package, dry_run=True)


def test_what_counts_is_what_was_submitted_and_not_what_became_of_its_workflow(
    tg: Archive, package: str
) -> None:
    flow = tg.workflows.create("w", steps=["packed_other.first", used])
    made = tg.executions.create("w", workflow=flow).execution
    tg.executions.create("w", workflow=flow, last_step=0)  # the step is not run
    tg.workflows.remove_step(flow.steps[1])

    with pytest.raises(PackageInUseError) as caught:
        tg.packages.deactivate(package)
    with pytest.raises(PackageInUseError):
        tg.packages.delete(package)
    tg.executions.set_state(made, "CANCELLED")
    tg.workflows.add_step("w", used)

    assert caught.value.uses == (f"execution {made.id[:8]}",)
    assert not tg.packages.deactivate(package).active


def test_what_is_run_again_counts_though_its_workflow_is_gone(tg: Archive, package: str) -> None:
    flow = tg.workflows.create("w", steps=[used])
    made = tg.executions.create("w", workflow=flow, queues=["q"]).execution
    tg.executions.set_state(made, "CANCELLED")
    tg.workflows.delete("w")
    again = tg.executions.rerun(made, queue=True)

    with pytest.raises(PackageInUseError, match=f"execution {again.id[:8]}"):
        tg.packages.delete(package)
    assert again.workflow_id is None
    tg.executions.set_state(again, "CANCELLED")
    assert tg.packages.delete(package)


def test_of_a_snapshot_that_is_damaged_the_workflow_of_today_counts(
    tg: Archive, package: str
) -> None:
    flow = tg.workflows.create("w", steps=[used])
    tg.executions.create("w", workflow=flow)
    sql = "UPDATE value SET format = 'damaged' WHERE value_hash IN"
    sql += " (SELECT snapshot_hash FROM execution)"
    tg.backend._transact(lambda driver: driver.execute(sql))

    with pytest.raises(PackageInUseError):
        tg.packages.deactivate(package)
    tg.workflows.remove_step(flow.steps[0])
    assert not tg.packages.deactivate(package).active


def test_what_is_submitted_while_it_is_decided_counts(
    tg: Archive, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = tg.workflows.create("w", steps=[used])
    other = tg.workflows.create("other", steps=["packed_other.first"])
    tg.executions.create("other", workflow=other)
    read = package_uses.steps_of
    late: list[Any] = []

    def overtaken(snapshot: Any) -> Any:
        if not late:
            late.append(tg.executions.create("w", workflow=flow).execution)
        return read(snapshot)

    monkeypatch.setattr(package_uses, "steps_of", overtaken)

    with pytest.raises(PackageInUseError) as caught:
        tg.packages.deactivate(package)
    assert caught.value.uses == (f"execution {late[0].id[:8]}",)
    assert tg.packages.get(package).active


def test_a_step_that_names_another_version_of_a_task_is_of_another_package(
    tg: Archive, package: str
) -> None:
    flow = tg.workflows.create("w", steps=[used])
    (own,) = tg.packages.get(package).tasks

    def pin(driver: Any, code: str) -> None:
        key = bytes.fromhex(code)
        sql = "UPDATE workflow_step SET task_hash = ? WHERE workflow_id = ?"
        driver.execute(sql, (key, bytes.fromhex(flow.id)))

    tg.backend._transact(pin, str(own.task_hash))
    with pytest.raises(PackageInUseError, match="workflow w@1"):
        tg.packages.delete(package)
    with_other = ok_other(tg)
    tg.backend._transact(pin, with_other)
    assert tg.packages.delete(package, dry_run=True)
    assert tg.packages.find(package) is not None
    assert tg.packages.delete(package)


def ok_other(tg: Archive) -> str:
    """Record another version of the task; returns its hash."""
    from taskgraph.engine.recorder import add_task_rows
    from taskgraph.records import RecordBatch

    batch = RecordBatch()
    code = used.hash
    add_task_rows(batch, used, code)
    tg.backend.record(batch)
    return str(code)


def test_what_is_not_there_is_said(tg: Archive) -> None:
    with pytest.raises(PackageNotFoundError, match=r"'none@1'.*package collect") as caught:
        tg.packages.get("none@1")
    assert isinstance(caught.value, NotFoundError)
    for verb in (tg.packages.activate, tg.packages.deactivate, tg.packages.delete):
        with pytest.raises(PackageNotFoundError):
            verb("none")
    assert tg.packages.delete("none", missing_ok=True) is False


@pytest.fixture
def applied(tg: Archive, package: str, tmp_path: Path) -> str:
    """A workflow of a task of the package, with a dataset to read and one to write."""
    put(tmp_path, "in.txt", "1")
    tg.datasets.register("in", str(tmp_path / "in.txt"))
    tg.datasets.register("out", [])
    tg.workflows.create("w", steps=[used])
    return package


def apply(tg: Archive) -> Any:
    return tg.workflows.apply("w", inputs=["in"], output="out")


def test_that_a_package_is_used_is_noted_when_something_of_it_is_submitted(
    tg: Archive, code: Path, applied: str
) -> None:
    put(code, "packed_m.py", a_task("aside", namespace="packed_aside"))
    ok(tg.packages.collect("packed_m", version="1"))

    made = apply(tg)

    assert [each.last_used_at is None for each in tg.packages.list()] == [False, True]
    with pytest.raises(PackageInUseError, match=f"execution {made.id[:8]}"):
        tg.packages.deactivate(applied)


def test_nothing_is_submitted_of_a_package_that_is_put_aside(tg: Archive, applied: str) -> None:
    tg.packages.deactivate(applied)

    with pytest.raises(InactiveTaskError, match="packed_k@1, which is not active"):
        apply(tg)
    tg.packages.activate(applied)
    assert apply(tg).is_active


def test_of_who_submits_and_who_puts_aside_at_once_one_does(
    database_uri: str, tg: Archive, applied: str
) -> None:
    def do(number: int) -> Any:
        with taskgraph.open(database_uri) as mine:
            return apply(mine) if number else mine.packages.deactivate(applied)

    answers = at_once(2, do)

    failed = [each for each in answers if isinstance(each, Exception)]
    assert [type(each) for each in failed] in ([PackageInUseError], [InactiveTaskError])
    assert tg.executions.count() == int(tg.packages.get(applied).active)


def test_the_records_are_sound_and_survive_a_collection_of_garbage(
    tg: Archive, package: str
) -> None:
    tg.storage.gc()

    (found,) = tg.packages.get(package).tasks
    assert tg.get(found.task_hash) is not None


_SLOW = """
import sys

print("ready", flush=True)
sys.stdin.readline()
"""


def test_of_a_process_that_is_killed_while_it_collects_nothing_is_kept(
    tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    file = put(tmp_path, "packed_slow.py", a_task("one") + _SLOW)
    program = "import sys, taskgraph; taskgraph.open(sys.argv[1]).packages.collect(*sys.argv[2:])"
    with subprocess.Popen(
        [sys.executable, "-c", program, database_uri, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (ongoing,) = tg.operations.list()
        process.kill()

    (failed,) = tg.operations.list()
    assert (ongoing.status, failed.status) == (Status.ONGOING, Status.FAILED)
    assert failed.error == "its process ended without a word"
    assert (tg.packages.list(), recorded(tg)) == ([], [])


def test_what_a_task_says_of_its_datasets_is_kept(tg: Archive, code: Path) -> None:
    text = """
    from taskgraph import task


    @task(namespace="packed", input_type="cmip6", output_type="mean")
    def typed(files: list, unit: str = "ghp_canary", digits: int = 2, by: float = 1.0) -> int:
        return digits
    """
    ok(tg.packages.collect(put(code, "packed_o.py", text), version="1"))

    (found,) = tg.packages.get("packed_o").tasks
    assert (found.input_type, found.output_type) == ("cmip6", "mean")
    assert found.args_schema["properties"]["digits"]["default"] == 2
    share = found.args_schema["properties"]["by"]["default"]
    assert (share, type(share)) == (1.0, float)
    assert "canary" not in str(found.to_json())


def test_what_is_applied_is_of_who_the_settings_name(
    database_uri: str, tg: Archive, applied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tg.users.create("ada@x.org", settings={"default_account": "climate-7"})
    monkeypatch.setenv("TASKGRAPH_USER", "ada@x.org")
    with taskgraph.open(database_uri) as mine:
        made = apply(mine)
    tg.executions.set_state(made, "CANCELLED")
    tg.users.update("ada@x.org", active=False)

    assert (made.submitted_by, made.options["account"]) == ("ada@x.org", "climate-7")
    with taskgraph.open(database_uri) as mine, pytest.raises(PermissionDeniedError):
        apply(mine)
    monkeypatch.delenv("TASKGRAPH_USER")
    with pytest.raises(PermissionDeniedError):
        tg.workflows.apply("w", inputs=["in"], output="out", submitted_by=" ada@x.org\n")
