"""What people do with packages of tasks, and who may do what: from a shell, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest

import taskgraph
from taskgraph.errors import TaskgraphError
from taskgraph_backend import models

FLOWS = '''
"""Flows of a team."""
from taskgraph import task

taskgraph_namespace = "team"
__version__ = "{version}"


@task
def clean(n: int = 2) -> int:
    """Clean so many."""
    return {body}
'''


@pytest.fixture
def project(flow: Any, database_uri: str) -> Any:
    """A project that is recorded in a database of each kind."""
    settings = {"db_uri": json.dumps(database_uri), "automigrate": "true"}
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    flow.write(".taskgraph/config.toml", f"[backend]\n{lines}\n")
    taskgraph.open(database_uri, migrate=True).close()
    return flow


def done(project: Any, *words: str, **environment: str) -> str:
    """Run a command that must do; returns what it says."""
    answer = project(*words, **environment)
    assert answer.code == 0, answer.err
    return str(answer.out)


def newest(project: Any) -> Any:
    return project.json("execution", "list")["executions"][0]


def test_a_team_keeps_versions_of_its_tasks_and_puts_old_ones_aside(
    project: Any, database_uri: str
) -> None:
    with taskgraph.open(database_uri) as tg:
        tg.users.create("ada@x.org", username="ada")
        tg.users.create("bob@x.org")
        tg.user_groups.create("climate")
        tg.user_groups.add("climate", "ada")
    project.write("flows.py", FLOWS.format(version="1.0", body="n"))
    said = done(project, "package", "collect", "flows.py", "--group", "climate")
    assert "is flows@1.0, of 1 task" in said
    project.write("flows.py", FLOWS.format(version="2.0", body="n + 1"))
    later = done(project, "package", "collect", "flows.py", "--group", "climate")
    assert "It takes the place of flows@1.0." in later

    # The same once more is no news; other code is no 2.0.
    assert "It was there already" in done(
        project, "package", "collect", "flows.py", "--group", "climate"
    )
    project.write("flows.py", FLOWS.format(version="2.0", body="n + 2"))
    again = project("package", "collect", "flows.py", "--group", "climate")
    assert (again.code, "Group 'climate' has a package flows 2.0 already" in again.err) == (4, True)

    listed = project.json("package", "list", "--visible-to", "ada")["packages"]
    assert [(each["name"], each["version"], each["active"]) for each in listed] == [
        ("flows", "2.0", True), ("flows", "1.0", False),
    ]  # fmt: skip
    nothing = done(project, "package", "list", "--visible-to", "bob@x.org")
    assert "None of 2 packages is meant by --visible-to bob@x.org." in nothing
    shown = done(project, "package", "show", "flows@1.0")
    assert "team.clean" in shown
    assert "Clean so many." in shown
    assert done(project, "package", "list", "--inactive").count("flows@") == 1
    asked = project.typing("n\n", "package", "delete", "flows@1.0")
    assert "Delete package flows@1.0?" in asked.out + asked.err
    assert "would be deleted" in done(project, "package", "delete", "flows@1.0", "--dry-run")
    assert "is deleted" in done(project, "package", "delete", "flows@1.0", "--yes")
    assert project("package", "show", "flows@1.0").code == 3

    operations = project.json("operation", "list")["operations"]
    assert [each["status"] for each in operations] == ["failed", "ok", "ok", "ok"]
    assert {each["subject"] for each in operations} == {"flows.py"}
    only = project.json("operation", "list", "--status", "failed")["operations"]
    assert "already" in only[0]["data"]["error"]
    assert "looking into flows.py" in done(project, "operation", "show", only[0]["id"][:10])


def test_code_that_is_broken_is_not_collected_and_the_log_says_where(project: Any) -> None:
    project.write("broken.py", "import flow\n\n\ndef f():\n    return 1 / 0\n\n\nf()\n")

    answer = project("package", "collect", "broken.py", "--version", "1")
    assert answer.code == 1
    assert "Cannot load broken.py: ZeroDivisionError" in answer.err
    (failed,) = project.json("operation", "list")["operations"]
    assert failed["id"][:8] in answer.err
    assert "return 1 / 0" in done(project, "operation", "show", failed["id"])
    assert done(project, "operation", "show", "-").startswith(f"Operation {failed['id'][:8]}")
    assert "There are no packages yet" in done(project, "package", "list")


def test_tasks_in_use_are_not_put_aside(project: Any) -> None:
    project.write("flows.py", FLOWS.format(version="1", body="n"))
    done(project, "package", "collect", "flows.py")
    done(project, "workflow", "create", "cleaning", "flows.py", "clean")

    answer = project("package", "delete", "flows", "--yes")
    assert (answer.code, "in use by workflow cleaning@1" in answer.err) == (4, True)
    done(project, "package", "deactivate", "flows")


def test_a_state_is_forced_by_those_whom_it_concerns(project: Any, database_uri: str) -> None:
    with taskgraph.open(database_uri) as tg:
        for name in ("root", "ada", "eve"):
            tg.users.create(f"{name}@x.org", username=name, superuser=name == "root")
    done(project, "run", "flow.py", "half", "--x", "4", TASKGRAPH_USER="ada@x.org")
    ran = newest(project)
    assert (ran["submitted_by"], ran["state"]["type"]) == ("ada@x.org", "COMPLETED")
    with taskgraph.open(database_uri) as tg:  # to be run elsewhere: no process is missed
        made = tg.executions.create("flow.main", submitted_by="ada@x.org").execution.id

    def force(state: str, *words: str, **environment: str) -> int:
        answer = project("execution", "set-state", made, state, "--force", *words, **environment)
        assert answer.code == 0 or "may not force execution" in answer.err
        return int(answer.code)

    assert force("FAILED") == 5  # nobody in particular
    assert force("FAILED", "--as", "eve") == 5
    assert force("RUNNING", "--as", "ada") == 5
    assert force("FAILED", "--as", "ada") == 0
    assert force("CRASHED", TASKGRAPH_USER="ada") == 0
    assert force("RUNNING", "--as", "root", TASKGRAPH_USER="eve") == 0
    shown = project.json("execution", "show", made, "--states")["states"]
    assert [each["details"].get("actor") for each in shown][-3:] == ["ada", "ada", "root"]

    # It is said to run now, so that to delete it is to force it.
    words = ("execution", "delete", made, "--force", "--yes")
    refused = project(*words, "--as", "eve")
    assert (refused.code, "may not delete execution" in refused.err) == (5, True)
    assert project(*words).code == 5
    done(project, "user", "update", "ada", "--inactive")
    assert project(*words, "--as", "ada").code == 5
    done(project, *words, "--as", "root")
    assert [each["id"] for each in project.json("execution", "list")["executions"]] == [ran["id"]]


def test_a_run_of_nobody_is_of_nobody(project: Any) -> None:
    done(project, "user", "create", "ada@x.org")
    done(project, "run", "flow.py", "half", "--x", "4")
    done(project, "run", "--no-prov", "flow.py", "half", "--x", "4", TASKGRAPH_USER="ada@x.org")

    (ran,) = project.json("execution", "list")["executions"]
    assert ran["submitted_by"] is None


def test_people_are_listed_changed_and_deleted(project: Any) -> None:
    assert "There are no users yet: taskgraph user create EMAIL" in done(project, "user", "list")
    done(project, "user", "create", "ada@x.org", "--default-account", "x1", "--verified")
    done(project, "user", "create", "bob@x.org", "--inactive")
    done(project, "user", "add", "climate", "ada@x.org", "bob@x.org")

    assert project("user", "create", "ADA@x.org").code == 4
    assert project("user", "create", "ada").code == 2
    assert project("user", "show", "eve").code == 3
    changed = project.json("user", "update", "ada@x.org", "--superuser", "--default-account", "x2")
    assert (changed["superuser"], changed["settings"]) == (True, {"default_account": "x2"})
    both = project.json("user", "list", "--group", "climate")["users"]
    assert [each["email"] for each in both] == ["ada@x.org", "bob@x.org"]
    some = project.json("user", "list", "--active", "--filter", '{"verified": {"is_": true}}')
    assert [each["email"] for each in some["users"]] == ["ada@x.org"]
    nobody = done(project, "user", "list", "--name", "zz", "--superuser")
    assert "None of 2 users is meant by --name zz --superuser." in nobody
    assert "climate" in done(project, "user", "show", "ada@x.org")
    done(project, "run", "--study", "nightly", "flow.py", "half", "--x", "4")
    owned = done(project, "study", "owner", "nightly", "ada@x.org")
    assert "Study nightly belongs to ada@x.org." in owned
    assert "ada@x.org" in done(project, "study", "show", "nightly")
    assert project("user", "delete", "ada@x.org", "--yes").code == 4
    assert "belongs to nobody" in done(project, "study", "owner", "nightly")
    assert "climate has 1 member" in done(project, "user", "remove", "climate", "bob@x.org")
    assert project.json("user", "groups", "--user", "bob@x.org") == {"groups": []}
    assert project.typing("n\n", "user", "delete", "bob@x.org").code == 0
    done(project, "user", "delete", "bob@x.org", "--yes")
    done(project, "user", "groups", "--delete", "climate", "--yes")
    assert [each["email"] for each in project.json("user", "list")["users"]] == ["ada@x.org"]


# Secrets, each of another looks; one is known by its name alone.
CANARIES = {
    "whsec": "whsec_canaryone",
    "github": "ghp_canarytwo",
    "jwt": "eyJcanarythree.eyJcanarythree.sig",
    "key": "-----BEGIN RSA PRIVATE KEY-----\ncanaryfour\n-----END RSA PRIVATE KEY-----",
    "password": "canaryfive",
}


def test_no_secret_is_in_any_row_export_log_or_error(project: Any, database_uri: str) -> None:
    said: list[str] = []

    def attempt(work: Any) -> None:
        try:
            said.append(repr(work()))
        except TaskgraphError as error:
            said.append(f"{error} {error!r} {error.args}")

    done(project, "run", "flow.py", "half", "--x", "4")
    with taskgraph.open(database_uri) as tg:
        tg.users.create("ada@x.org")
        for name, secret in CANARIES.items():
            looks = name != "password"
            for settings in ({"api": {"password": secret}}, {"list": [{"access_token": secret}]}):
                attempt(lambda given=settings: tg.users.create("eve@x.org", settings=given))
                attempt(lambda given=settings: tg.users.update("ada@x.org", settings=given))
            attempt(lambda s=secret: tg.users.link_account("ada@x.org", "hub", "1", keyring=s))
            if not looks:
                continue
            attempt(lambda s=secret: tg.users.create("eve@x.org", settings={"note": f"a {s}"}))
            attempt(lambda s=secret: tg.users.create("eve@x.org", username=s))
            attempt(lambda s=secret: tg.users.create(f"{s}@x.org"))
            attempt(lambda s=secret: tg.users.link_account("ada@x.org", "hub", s))
            attempt(lambda s=secret: tg.user_groups.create(s))
            attempt(lambda s=secret: tg.packages.collect("flow.py", version=s))
            attempt(lambda s=secret: tg.packages.collect(s, version="1"))
            attempt(lambda s=secret: project("user", "create", "eve@x.org", "--username", s))
    for number, secret in enumerate(CANARIES.values()):
        if secret != CANARIES["password"]:
            project.write(f"bad{number}.py", f"raise RuntimeError({secret!r})\n")
            said.append(str(project("package", "collect", f"bad{number}.py", "--version", "1")))
    # Where it is kept, the name of the entry is all that is known.
    with taskgraph.open(database_uri) as tg:
        tg.users.link_account("ada@x.org", "hub", "1", keyring="keyring:hub/ada")
        said.append(repr(tg.users.get("ada@x.org")))
        rows = []
        with tg.reading() as reader:
            for table in models.Base.metadata.sorted_tables:
                rows += [repr(tuple(row)) for row in reader.execute(table.select())]
        assert any("keyring:hub/ada" in each for each in rows)
        assert tg.operations.count(status="failed") >= 4
        said += rows
    done(project, "export", "--all", "-o", "all.jsonl")
    said.append((project.folder / "all.jsonl").read_text())
    for words in (("user", "list"), ("operation", "list", "-n", "100"), ("package", "list")):
        said += [done(project, *words), done(project, *words, "--json")]
    said += [
        path.read_text(errors="replace")
        for path in (project.folder / ".taskgraph").rglob("*")
        if path.is_file()
    ]

    assert [each for each in said if "canary" in each.lower()] == []
    assert len(said) > 60


def test_whoever_the_settings_name_submits_retracts_and_blesses(project: Any) -> None:
    done(project, "user", "create", "ada@x.org")
    ada = {"TASKGRAPH_USER": "ada@x.org"}
    done(project, "submit", "--queue", "q", "flow.py", "half", "--x", "4", **ada)
    waits = newest(project)
    assert waits["submitted_by"] == "ada@x.org"
    done(project, "execution", "set-state", waits["id"], "FAILED", "--force", **ada)
    done(project, "run", "flow.py", "half", "--x", "4")
    written = (project.folder / "flow.py").read_text()
    (project.folder / "flow.py").write_text(written.replace("def half(", "def halved("))

    done(project, "retract", "-", "--reason", "a bad disk", **ada)
    words = ("flow.half", "flow.halved", "--script", "flow.py")
    done(project, "bless", *words, **ada)

    (retracted,) = project.json("retractions")["retractions"]
    (alias,) = project.json("bless", "--list")
    assert (retracted["by"], alias["author"]) == ("ada@x.org", "ada@x.org")
