"""Where users are registered, not everybody forces a state; it is asked as the state is written."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

import taskgraph
from taskgraph import Scheduler, task
from taskgraph.archive import Archive
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.states import Outcome, StateType
from taskgraph.errors import ActiveExecutionError, PermissionDeniedError, TaskgraphError
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend
from taskgraph_backend.catalog import permissions

ENDS_BADLY = {"CANCELLED", "FAILED", "CRASHED"}
EVERY = {each.value for each in StateType}
#: Who acts, as the actor is named, with the states that this one may force.
ACTORS: dict[str, tuple[str | None, set[str]]] = {
    "a superuser by address": ("ROOT@x.org", EVERY),
    "a superuser by name": ("root", EVERY),
    "who submitted it, by address": ("ada@x.org", ENDS_BADLY),
    "who submitted it, by name": ("ada", ENDS_BADLY),
    "the owner of the study": ("bob@x.org", ENDS_BADLY),
    "somebody else": ("eve@x.org", set()),
    "an inactive superuser": ("gone@x.org", set()),
    "nobody": (None, set()),
    "nobody who is registered": ("who@where", set()),
    "a blank": (" ", set()),
}


@pytest.fixture
def people(tg: Archive) -> None:
    """A superuser, one who submits, one who owns a study, another one, and one who left."""
    tg.users.create("root@x.org", username="root", superuser=True)
    tg.users.create("ada@x.org", username="ada")
    tg.users.create("bob@x.org", username="bob")
    tg.users.create("eve@x.org", username="eve")
    tg.users.create("gone@x.org", superuser=True, active=False)
    tg.studies.get_or_create("nightly", owner="bob")


def submitted(tg: Archive, by: str | None = "Ada@x.org") -> Execution:
    return tg.executions.create("flow.main", study="nightly", submitted_by=by).execution


@pytest.mark.usefixtures("people")
def test_the_table_of_who_may_force_what(tg: Archive) -> None:
    wrong = []
    for (kind, (actor, may)), target in product(ACTORS.items(), sorted(EVERY)):
        made = submitted(tg)
        try:
            done = tg.executions.set_state(made, target, force=True, actor=actor)
            is_done = done.outcome is Outcome.ACCEPT
        except PermissionDeniedError:
            is_done = False
        states = [each.type.value for each in tg.executions.states(made)]
        expected = ["PENDING", target] if target in may else ["PENDING"]
        if is_done is not (target in may) or states != expected:
            wrong.append((kind, target, is_done, states))

    assert wrong == []


@pytest.mark.usefixtures("people")
def test_who_submitted_may_be_said_in_three_ways(tg: Archive) -> None:
    ada = tg.users.get("ada")
    for said, actor in product((ada.id, ada.email, "ada", " ADA@x.org "), (ada.id, "ada")):
        made = submitted(tg, said)
        tg.executions.set_state(made, "CANCELLED", force=True, actor=actor)
        assert tg.executions.get(made).state.type is StateType.CANCELLED
    for said in (None, "adam", ada.id[:8], "eve"):
        with pytest.raises(PermissionDeniedError):
            tg.executions.set_state(submitted(tg, said), "FAILED", force=True, actor="ada")


@pytest.mark.usefixtures("people")
def test_who_acts_is_not_named_by_the_start_of_an_id(tg: Archive) -> None:
    root = tg.users.get("root")

    with pytest.raises(PermissionDeniedError):
        tg.executions.set_state(submitted(tg), "COMPLETED", force=True, actor=root.id[:12])
    assert tg.executions.set_state(submitted(tg), "COMPLETED", force=True, actor=root.id).is_written


@pytest.mark.usefixtures("people")
def test_the_error_says_who_may_and_the_state_says_who_did(tg: Archive) -> None:
    made = submitted(tg)

    with pytest.raises(PermissionDeniedError, match=r"'eve'.*force execution.*superusers, who sub"):
        tg.executions.set_state(made, "FAILED", force=True, actor="eve")
    with pytest.raises(PermissionDeniedError, match=r"Nobody in particular.*COMPLETED.*superusers"):
        tg.executions.set_state(made, "COMPLETED", force=True)
    with pytest.raises(PermissionDeniedError, match="users who are active") as caught:
        tg.executions.set_state(made, "CANCELLED", force=True, actor="gone@x.org")
    assert isinstance(caught.value, TaskgraphError)
    tg.executions.set_state(made, "COMPLETED", force=True, actor="root")

    last = tg.executions.states(made)[-1]
    assert (last.details["actor"], last.details["forced"]) == ("root", True)


@pytest.mark.usefixtures("people")
def test_a_policy_without_the_table_is_force(tg: Archive) -> None:
    made = submitted(tg)

    with pytest.raises(PermissionDeniedError):
        tg.executions.set_state(made, "COMPLETED", policy=(), actor="ada")
    with pytest.raises(PermissionDeniedError):
        tg.executions.set_state(made, "COMPLETED", policy=["retry"])
    assert tg.executions.set_state(made, "RUNNING", policy=["table"]).is_written


@pytest.mark.usefixtures("people")
def test_by_the_rules_everybody_proposes_but_who_is_inactive(tg: Archive) -> None:
    made = submitted(tg)

    assert tg.executions.set_state(made, "RUNNING").is_written
    assert tg.executions.set_state(made, "CANCELLED", actor="eve").is_written
    with pytest.raises(PermissionDeniedError, match="propose a state"):
        tg.executions.set_state(submitted(tg), "CANCELLED", actor="gone@x.org")


def test_without_users_anybody_forces_anything(tg: Archive) -> None:
    for actor, target in product((None, "ada", "who@where"), sorted(EVERY)):
        made = tg.executions.create("flow.main").execution
        assert tg.executions.set_state(made, target, force=True, actor=actor).is_written


@pytest.mark.usefixtures("people")
def test_to_delete_what_has_not_ended_is_to_force_it(tg: Archive) -> None:
    first, second = submitted(tg), submitted(tg, "eve")

    with pytest.raises(ActiveExecutionError):
        tg.executions.delete(first, actor="root")
    for actor in (None, "eve", "gone@x.org", "who@where"):
        with pytest.raises(PermissionDeniedError, match="delete execution"):
            tg.executions.delete(first, force=True, actor=actor)
        with pytest.raises(PermissionDeniedError):
            tg.executions.delete(first, force=True, actor=actor, dry_run=True)
    with pytest.raises(PermissionDeniedError):
        tg.executions.delete_many(all=True, force=True, actor="ada")
    assert tg.executions.count() == 2  # all or nothing
    assert tg.executions.delete(first, force=True, actor="ada")
    assert tg.executions.delete_many(all=True, force=True, actor="bob").executions == (second.id,)


@pytest.mark.usefixtures("people")
def test_what_has_ended_is_deleted_by_anybody(tg: Archive) -> None:
    made = submitted(tg)
    tg.executions.set_state(made, "CANCELLED")

    assert tg.executions.delete(made, force=True)


@pytest.mark.usefixtures("people")
def test_what_marks_the_dead_is_no_force(tg: Archive) -> None:
    made = submitted(tg)
    tg.executions.set_state(made, "RUNNING")

    marked = tg.executions.fail_running(older_than=timedelta(0))
    assert [each.id for each in marked] == [made.id]


def test_it_is_asked_in_the_transaction_that_writes(
    tg: Archive, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tg.executions.create("flow.main").execution
    real = permissions.set_state

    def late(driver: Any, *given: Any) -> Any:
        # Nobody was registered when it was asked for; here somebody is.
        driver.execute(
            "INSERT INTO user_account (id, email, username, active, superuser, verified, settings,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (bytes(16), "new@x.org", None, True, False, False, "{}", 0),
        )
        return real(driver, *given)

    monkeypatch.setattr(permissions, "set_state", late)
    with pytest.raises(PermissionDeniedError):
        tg.executions.set_state(made, "COMPLETED", force=True, actor="eve")

    assert tg.executions.get(made).state.type is StateType.PENDING
    assert tg.users.count() == 0  # taken back with all else


def test_the_settings_say_who_submits_and_who_acts(
    tg: Archive, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tg.users.create("ada@x.org")
    monkeypatch.setenv("TASKGRAPH_USER", "ada@x.org")
    with taskgraph.open(database_uri) as mine:
        own = mine.executions.create("flow.main").execution
        other = mine.executions.create("flow.main", submitted_by="eve").execution
        forced = mine.executions.set_state(own, "FAILED", force=True)
        with pytest.raises(PermissionDeniedError):
            mine.executions.set_state(other, "FAILED", force=True)
        with pytest.raises(PermissionDeniedError):
            mine.executions.set_state(own, "FAILED", force=True, actor="eve")

    assert (own.submitted_by, other.submitted_by, forced.is_written) == ("ada@x.org", "eve", True)
    assert tg.executions.create("flow.main").execution.submitted_by is None


@task(namespace="permitted", version="1")
def one() -> int:
    return 1


@task(namespace="permitted", version="1")
def fails() -> int:
    raise ValueError("it is odd")


def test_what_is_run_is_of_who_the_settings_name(
    tg: Archive, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKGRAPH_USER", " ada@x.org ")
    backend = SqlBackend(database_uri)
    with backend, Scheduler(backend=backend) as scheduler:
        assert scheduler.run(one()) == 1
        with pytest.raises(ValueError, match="odd"):
            scheduler.run(fails())
        assert scheduler.run(one(), options={"prov": False}) == 1

    ran = tg.executions.list(sort="created", descending=False)
    assert [(each.entrypoint, each.submitted_by, each.state.type.value) for each in ran] == [
        ("permitted.one", "ada@x.org", "COMPLETED"), ("permitted.fails", "ada@x.org", "FAILED"),
    ]  # fmt: skip
    assert [each.type.value for each in tg.executions.states(ran[0])][-2:] == [
        "RUNNING", "COMPLETED",
    ]  # fmt: skip


def test_nothing_is_run_in_the_name_of_who_is_inactive(
    tg: Archive, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tg.users.create("ada@x.org", username="ada")
    tg.users.create("bob@x.org", username="bob", active=False)
    for name in ("bob@x.org", "bob", "ada", "who@where"):
        monkeypatch.setenv("TASKGRAPH_USER", name)
        with SqlBackend(database_uri) as backend, Scheduler(backend=backend) as scheduler:
            if name.startswith("bob"):
                for how in ({}, {"study": "night"}):
                    with pytest.raises(PermissionDeniedError, match=r"'bob.*may not submit"):
                        scheduler.run(one(), **how)
            else:
                assert scheduler.run(one()) == 1
    assert [each.submitted_by for each in tg.executions.list(sort="created", descending=False)] == [
        "ada", "who@where",
    ]  # fmt: skip
    # What has run elsewhere is written down, whoever it was.
    over = tg.executions.create("permitted.one", submitted_by="bob", state="COMPLETED")
    assert over.is_new


def test_where_there_is_no_database_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKGRAPH_USER", "ada@x.org")
    with Scheduler(backend=MemoryBackend()) as scheduler:
        assert scheduler.run(one()) == 1
