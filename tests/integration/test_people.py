"""People are known by their addresses, each of one only; groups are names for several of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import taskgraph
from taskgraph.archive import Archive
from taskgraph.catalog.submitters import Submitter
from taskgraph.errors import (
    AmbiguousIdError,
    ConflictError,
    LastSuperuserError,
    NotFoundError,
    PermissionDeniedError,
    SecretError,
    UnknownFilterError,
    UserExistsError,
    UserGroupNotFoundError,
    UserInUseError,
    UserNotFoundError,
    ValidationError,
)


def test_a_user_is_found_by_address_name_and_id(tg: Archive) -> None:
    made = tg.users.create("Ada@Example.org", username="ada", settings={"default_account": "x1"})

    assert (made.email, made.username, made.default_account) == ("ada@example.org", "ada", "x1")
    assert (made.active, made.superuser, made.verified, made.groups) == (True, False, False, ())
    for ref in ("ada@example.org", "ADA@EXAMPLE.ORG", " ada ", made.id, made.id.upper(), made):
        assert tg.users.get(ref) == made
    assert tg.users.find(made.id[:10]) == made
    assert made.to_json()["settings"] == {"default_account": "x1"}
    assert tg.users.find("bob") is None
    assert tg.users.find("Ada") is None  # a name is as it was written
    with pytest.raises(UserNotFoundError, match=r"'bob'.*user list") as caught:
        tg.users.get("bob")
    assert isinstance(caught.value, NotFoundError)


def test_the_start_of_several_ids_is_nobody(tg: Archive) -> None:
    for number in range(17):
        tg.users.create(f"u{number}@x.org")
    starts = [each.id[0] for each in tg.users.list()]
    twice = next(each for each in starts if starts.count(each) > 1)

    with pytest.raises(AmbiguousIdError):
        tg.users.get(twice)


def test_an_address_and_a_name_are_of_one_user(tg: Archive) -> None:
    ada = tg.users.create("ada@x.org", username="ada")
    bob = tg.users.create("bob@x.org")
    tg.users.create("eve@x.org")  # without a name, as bob

    with pytest.raises(UserExistsError, match=r"ada@x\.org.*taken") as caught:
        tg.users.create("ADA@x.org")
    with pytest.raises(UserExistsError, match="'ada'"):
        tg.users.create("other@x.org", username="ada")
    with pytest.raises(UserExistsError):
        tg.users.update(bob, email="Ada@X.org")
    with pytest.raises(UserExistsError):
        tg.users.update(bob, username="ada")
    same = tg.users.update(ada, email="ADA@x.org", username="ada")

    assert isinstance(caught.value, ConflictError)
    assert same == ada
    assert tg.users.get(bob) == bob
    assert tg.users.count() == 3


def test_only_what_is_given_is_changed(tg: Archive) -> None:
    made = tg.users.create("ada@x.org", username="ada", settings={"a": 1, "b": {"c": [2]}})
    tg.users.create("root@x.org", superuser=True)

    assert tg.users.update(made) == made
    changed = tg.users.update("ada", superuser=True, username=None)
    assert (changed.superuser, changed.username, changed.email) == (True, None, "ada@x.org")
    assert changed.settings == {"a": 1, "b": {"c": [2]}}
    assert tg.users.update(made, settings={"d": 1}, active=False).settings == {"d": 1}
    assert tg.users.get(made).active is False
    tg.users.delete(made)
    with pytest.raises(UserNotFoundError):
        tg.users.update(made, active=True)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"email": " "}, "expected a name"),
        ({"email": "ada"}, "expected an address"),
        ({"email": "a b@x.org"}, "expected an address"),
        ({"email": "a@b@c"}, "expected an address"),
        ({"email": "a" * 400 + "@x.org"}, "too long"),
        ({"username": "a@b"}, "it would be an address"),
        ({"username": "A" * 32}, "it would be an id"),
        ({"username": ""}, "expected a name"),
        ({"superuser": 1}, "true or false"),
        ({"settings": [1]}, "names with values"),
        ({"settings": "x"}, "names with values"),
        ({"settings": {"x": object()}}, "not a JSON value"),
        ({"settings": {"default_account": 3}}, "expected a name"),
        ({"settings": {"accounts": {}}}, "a list of accounts"),
        ({"settings": {"accounts": [3]}}, "an object with provider"),
        ({"settings": {"accounts": [{"provider": "p"}]}}, "account_id"),
        (
            {"settings": {"accounts": [{"provider": "p", "account_id": "1", "color": "red"}]}},
            "no color",
        ),
        (
            {"settings": {"accounts": [{"provider": "p", "account_id": "1", "expires": "soon"}]}},
            "a time",
        ),
        ({"settings": {"accounts": [{"provider": "p", "account_id": "1"}] * 2}}, "twice"),
    ],
)
def test_what_is_none_is_refused_before_anything_is_written(
    tg: Archive, said: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValidationError, match=match):
        tg.users.create(**{"email": "ada@x.org", **said})
    assert tg.users.list() == []


UNREADABLE = [
    "a\nb", "a\x1b[31mb", "a\u202eb", "a\u200bb", "a\u2028b", "a\x00b", "a\udcffb", " \t ",
    "ada\u200d", "a\u200db",
    "x" * 10_000, b"ab", 3,
]  # fmt: skip


JOINED = ["\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0dc1\u0dca\u200d\u0dbb\u0dd3"]


@pytest.mark.parametrize("name", [*JOINED, "José", "Ångström"], ids=ascii)
def test_a_name_may_be_of_any_script(tg: Archive, name: str) -> None:
    found = tg.users.create("ada@x.org", username=name)

    assert found.username == name
    assert tg.users.get(name) == found


@pytest.mark.parametrize("name", UNREADABLE, ids=lambda name: ascii(name)[:20])
def test_a_name_that_nobody_can_read_is_refused_wherever_it_is_said(tg: Archive, name: Any) -> None:
    ada = tg.users.create("ada@x.org")
    verbs: list[Callable[[], Any]] = [
        lambda: tg.users.create(name),
        lambda: tg.users.create(f"{name}@x.org" if isinstance(name, str) else name),
        lambda: tg.users.create("bob@x.org", username=name),
        lambda: tg.users.update(ada, username=name),
        lambda: tg.users.update(ada, default_account=name),
        lambda: tg.users.update(ada, settings={"default_account": name}),
        lambda: tg.users.update(ada, settings={"accounts": [name]}),
        lambda: tg.users.link_account(ada, name, "42"),
        lambda: tg.users.link_account(ada, "hub", name),
        lambda: tg.users.unlink_account(ada, "hub", name),
        lambda: tg.user_groups.create(name),
        lambda: tg.packages.collect("os", version=name),
        lambda: tg.operations.running(name, "it").__enter__(),
        lambda: tg.executions.create("e", submitted_by=name),
    ]
    for verb in verbs:
        with pytest.raises(ValidationError) as caught:
            verb()
        assert str(caught.value).isprintable()

    assert (tg.users.list(), tg.user_groups.list()) == ([ada], [])
    assert (tg.operations.list(), tg.executions.count()) == ([], 0)


def test_a_name_is_one_however_its_accents_are_written(tg: Archive) -> None:
    made = tg.users.create("zoe@x.org", username=" Zoe\u0308")
    group = tg.user_groups.create("Cafe\u0301\n")

    assert (made.username, group.name) == ("Zo\u00eb", "Caf\u00e9")
    for ref in ("Zo\u00eb", " Zoe\u0308 "):
        assert tg.users.get(ref) == made
    assert tg.user_groups.get("Cafe\u0301") == group
    with pytest.raises(UserExistsError):
        tg.users.create("other@x.org", username="Zo\u00eb")
    tg.studies.get_or_create("hers", owner="Zoe\u0308")
    assert tg.studies.get("hers").owner == "zoe@x.org"
    ran = tg.executions.create("e", submitted_by=" Zoe\u0308 ").execution
    assert ran.submitted_by == "Zo\u00eb"
    assert tg.executions.set_state(ran, "FAILED", force=True, actor="Zoe\u0308").is_written


@pytest.mark.parametrize("limit", [-1, 0, True, 1.5, "1", b"1", 2**63], ids=ascii)
def test_a_list_is_not_cut_in_a_way_that_is_none(tg: Archive, limit: Any) -> None:
    lists: list[Callable[..., Any]] = [
        tg.users.list, tg.packages.list, tg.operations.list, tg.datasets.list, tg.artifacts.list,
        tg.workflows.list, tg.groups.list, tg.policies.notifications, tg.executions.list,
    ]  # fmt: skip
    for each in lists:
        with pytest.raises(ValidationError, match=r"limit|offset"):
            each(limit=limit)
        assert len(each(limit=2**40)) == 0
        if limit != 0:
            with pytest.raises(ValidationError, match=r"limit|offset"):
                each(offset=limit)


def test_what_is_no_reference_is_said_and_what_cannot_be_kept_is_nobody(tg: Archive) -> None:
    managers: list[Any] = [tg.users, tg.user_groups, tg.packages, tg.operations]
    for manager in managers:
        for wrong in (None, 3, b"ada", ["ada"]):
            with pytest.raises(ValidationError):
                manager.find(wrong)
        for nobody in ("", " ", "a\0b", "\udcff", "x" * 10_000):
            assert manager.find(nobody) is None
            with pytest.raises(NotFoundError):
                manager.get(nobody)


def test_no_study_is_what_is_no_name(tg: Archive) -> None:
    tg.studies.get_or_create("nightly")

    for wrong in (None, 3, b"nightly"):
        with pytest.raises(ValidationError, match="expected a name"):
            tg.studies.find(wrong)  # type: ignore[arg-type]  # it is none
    for nothing in ("", "a\0b", "\udcff"):
        assert tg.studies.find(nothing) is None


def test_what_a_list_is_asked_for_is_of_its_type(tg: Archive) -> None:
    verbs: list[Callable[[], Any]] = [
        lambda: tg.operations.list(kind=3),  # type: ignore[arg-type]
        lambda: tg.operations.count(kind=b"collect"),  # type: ignore[arg-type]
        lambda: tg.operations.list(kind="a\0b"),
        lambda: tg.operations.list(status=[]),  # type: ignore[arg-type]
        lambda: tg.packages.list(name=3),  # type: ignore[arg-type]
        lambda: tg.packages.count(name="a\0b"),
        lambda: tg.packages.list(active="yes"),  # type: ignore[arg-type]
        lambda: tg.packages.list(owner=3),  # type: ignore[arg-type]
        lambda: tg.packages.collect(None),  # type: ignore[arg-type]
        lambda: tg.packages.collect(b"flow.py"),  # type: ignore[arg-type]
        lambda: tg.packages.collect(" "),
        lambda: tg.executions.delete("-", missing_ok=True, actor=3),  # type: ignore[arg-type]
    ]
    for verb in verbs:
        with pytest.raises(ValidationError):
            verb()
    assert tg.operations.list() == []


def test_an_account_elsewhere_is_kept_by_reference(tg: Archive) -> None:
    tg.users.create("ada@x.org", settings={"default_account": "x1"})
    when = datetime(2030, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    tg.users.link_account("ada@x.org", "github", "77")
    linked = tg.users.link_account(
        "ada@x.org", "github", "42", email="Ada@hub.org", expires=when, keyring="keyring:github/ada"
    )
    again = tg.users.link_account("ada@x.org", "github", "77", keyring="keyring:github/other")
    (first, second) = linked.accounts

    assert (first.account_id, first.keyring, second.account_id) == ("77", None, "42")
    assert (second.email, second.expires) == ("ada@hub.org", when.astimezone(UTC))
    assert second.keyring == "keyring:github/ada"
    assert {each.account_id: each.keyring for each in again.accounts} == {
        "42": "keyring:github/ada", "77": "keyring:github/other",
    }  # fmt: skip
    assert again.default_account == "x1"
    left = tg.users.unlink_account("ada@x.org", "github", "42")
    assert [each.account_id for each in left.accounts] == ["77"]
    assert tg.users.unlink_account("ada@x.org", "github", "42") == left
    with pytest.raises(ValidationError, match="expires"):
        tg.users.link_account("ada@x.org", "github", "1", expires=datetime(2030, 1, 2))
    with pytest.raises(UserNotFoundError):
        tg.users.link_account("bob", "github", "1")


def test_who_one_is_elsewhere_is_nothing_to_pay_from(tg: Archive) -> None:
    """An account that is linked takes no other one away, and is none to be charged."""

    def may_pay(account: str) -> bool:
        known = tg.users.get("ada@x.org")
        submitter = Submitter.of(known.active, known.settings)
        try:
            submitter.check("ada@x.org", account)
        except PermissionDeniedError:
            return False
        return True

    tg.users.create("ada@x.org", settings={"default_account": "x1"})
    tg.users.link_account("ada@x.org", "github", "42")
    assert [may_pay(each) for each in ("x1", "x2", "42")] == [True, True, True]

    tg.users.update("ada@x.org", settings={"default_account": "x1", "accounts": ["x2 ", "x3"]})
    linked = tg.users.link_account("ada@x.org", "github", "42")
    assert (linked.charged_accounts, len(linked.accounts)) == (("x2", "x3"), 1)
    assert [may_pay(each) for each in ("x1", "x2", "x4", "42")] == [True, True, False, False]
    left = tg.users.unlink_account("ada@x.org", "github", "42")
    assert left.settings["accounts"] == ["x2", "x3"]
    for wrong in ([""], ["x", " x"], [None]):
        with pytest.raises(ValidationError):
            tg.users.update("ada@x.org", settings={"accounts": wrong})


def test_who_names_the_default_account_leaves_what_others_link_meanwhile(
    tg: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tg.users.create("ada@x.org", settings={"note": "n"})
    find = tg.users._store.find_user

    def overtaken(ref: str) -> Any:
        found = find(ref)
        monkeypatch.undo()
        tg.users.link_account("ada@x.org", "hub", "1")
        return found

    monkeypatch.setattr(tg.users._store, "find_user", overtaken)
    changed = tg.users.update("ada@x.org", default_account=" x1 ")

    assert (changed.default_account, len(changed.accounts)) == ("x1", 1)
    assert changed.settings["note"] == "n"
    assert tg.users.update(made, settings={"a": 1}, default_account="x2").settings == {
        "a": 1, "default_account": "x2",
    }  # fmt: skip
    assert tg.users.update(made, default_account=None).settings == {"a": 1}
    for wrong in ("", " ", 3):
        with pytest.raises(ValidationError, match="expected a name"):
            tg.users.update(made, default_account=wrong)  # type: ignore[arg-type]  # it is none


@pytest.mark.parametrize(
    "said",
    [
        {"settings": {"password": "canary"}},
        {"settings": {"a": [{"refresh_token": "canary"}]}},
        {"settings": {"note": "it is ghp_canary"}},
        {"settings": {"accounts": [{"provider": "p", "account_id": "1", "token": "canary"}]}},
        {"settings": {"accounts": [{"provider": "p", "account_id": "1", "keyring": "canary"}]}},
        {"username": "whsec_canary"},
        {"email": "ghp_canary@x.org"},
    ],
)
def test_no_secret_is_kept_or_repeated(tg: Archive, said: dict[str, Any]) -> None:
    with pytest.raises(SecretError) as caught:
        tg.users.create(**{"email": "ada@x.org", **said})

    assert "canary" not in str(caught.value)
    assert tg.users.count() == 0


def test_users_are_listed_by_what_is_asked_for(tg: Archive) -> None:
    tg.users.create("c@x.org", username="Cecily", superuser=True)
    tg.users.create("a@x.org", active=False, verified=True)
    tg.users.create("b@y.org", username="bob")
    tg.user_groups.create("climate")
    tg.user_groups.add("climate", "bob")

    def emails(where: Any = None, **page: Any) -> list[str]:
        return [each.email for each in tg.users.list(where, **page)]

    assert emails() == ["a@x.org", "b@y.org", "c@x.org"]
    assert emails(limit=1, offset=1) == ["b@y.org"]
    assert emails({"superuser": {"is_": True}}) == ["c@x.org"]
    assert emails({"active": {"is_": False}, "verified": {"is_": True}}) == ["a@x.org"]
    assert emails({"name": {"like_": "CECI"}}) == ["c@x.org"]
    assert emails({"name": {"any_": ["bob", "A@x.org"]}}) == ["a@x.org", "b@y.org"]
    assert emails({"name": {"not_any_": ["bob"]}}) == ["a@x.org", "c@x.org"]
    assert emails({"email": {"like_": "X.ORG"}}) == ["a@x.org", "c@x.org"]
    assert emails({"email": {"any_": "B@Y.org"}}) == ["b@y.org"]
    assert emails({"username": {"is_null_": True}}) == ["a@x.org"]
    assert emails({"group": {"any_": ["climate", "none"]}}) == ["b@y.org"]
    assert emails({"group": {"not_any_": ["climate"]}}) == ["a@x.org", "c@x.org"]
    assert emails({"created": {"before_": "2001-01-01T00:00Z"}}) == []
    assert emails({"not_": {"name": {"any_": ["bob"]}}}) == ["a@x.org", "c@x.org"]
    assert tg.users.count({"superuser": {"is_": False}}) == 2
    with pytest.raises(UnknownFilterError):
        tg.users.list({"password": {"any_": ["x"]}})


def test_who_has_something_is_not_deleted(tg: Archive) -> None:
    ada = tg.users.create("ada@x.org")
    study = tg.studies.get_or_create("nightly", owner="ada@x.org")
    tg.user_groups.create("climate")
    tg.user_groups.add("climate", ada)

    assert (study.owner, study.owner_id) == ("ada@x.org", ada.id)
    with pytest.raises(UserInUseError, match=r"study nightly.*inactive") as caught:
        tg.users.delete(ada)
    assert isinstance(caught.value, ConflictError)
    assert tg.studies.set_owner("nightly", None).owner is None
    assert tg.users.delete(ada) is True
    assert (tg.users.find(ada), tg.user_groups.members("climate")) == (None, [])
    assert tg.users.delete(ada, missing_ok=True) is False
    with pytest.raises(UserNotFoundError):
        tg.users.delete("ada@x.org")


def test_the_only_superuser_stays_one_while_there_are_others(tg: Archive) -> None:
    root = tg.users.create("root@x.org", superuser=True)
    tg.users.create("gone@x.org", superuser=True, active=False)
    ada = tg.users.create("ada@x.org")
    ways: list[Any] = [
        lambda: tg.users.delete(root),
        lambda: tg.users.update(root, active=False),
        lambda: tg.users.update(root, superuser=False),
    ]
    for refused in ways:
        with pytest.raises(LastSuperuserError, match=r"root@x\.org is the only .* update USER"):
            refused()
    assert tg.users.get(root) == root
    assert tg.users.update(root, superuser=True, username="root").superuser
    assert not tg.users.update(ada, active=False).active  # who is none may be put aside

    tg.users.update("gone@x.org", active=True)
    assert not tg.users.update(root, superuser=False).superuser
    assert [tg.users.delete(each) for each in (root, ada)] == [True, True]
    with pytest.raises(LastSuperuserError):
        tg.users.update("gone@x.org", active=False)  # nobody else, but nobody could go on either
    assert tg.users.delete("gone@x.org")  # without any user all may
    assert tg.users.count() == 0


def test_of_two_superusers_who_go_at_once_one_stays(database_uri: str, tg: Archive) -> None:
    both = [tg.users.create(f"{name}@x.org", superuser=True) for name in ("a", "b")]
    tg.users.create("ada@x.org")

    def go(number: int) -> bool:
        with taskgraph.open(database_uri) as own:
            try:
                return own.users.delete(both[number])
            except LastSuperuserError:
                return False

    assert sorted(at_once(2, go)) == [False, True]
    assert tg.users.count({"superuser": {"is_": True}}) == 1


def test_a_study_stays_whose_it_is(tg: Archive) -> None:
    for each in ("ada", "bob"):
        tg.users.create(f"{each}@x.org", username=each)

    assert tg.studies.get_or_create("plain").owner is None
    assert tg.studies.get_or_create("plain", owner="ada").owner is None
    assert tg.studies.get_or_create("hers", owner="ada").owner == "ada@x.org"
    assert tg.studies.get_or_create("hers", owner="bob").owner == "ada@x.org"
    assert tg.studies.set_owner("hers", "bob").owner == "bob@x.org"
    assert [each.to_json()["owner"] for each in tg.studies.list()] == ["bob@x.org", None]
    with pytest.raises(UserNotFoundError):
        tg.studies.get_or_create("new", owner="eve")
    assert tg.studies.find("new") is None
    with pytest.raises(UserNotFoundError):
        tg.studies.set_owner("hers", "eve")


def test_people_are_in_groups(tg: Archive) -> None:
    ada, bob = (tg.users.create(f"{each}@x.org") for each in ("ada", "bob"))
    group = tg.user_groups.create("climate")
    tg.user_groups.create("apples")

    assert tg.user_groups.add("climate", bob) is True
    assert tg.user_groups.add(group, "ada@x.org") is True
    assert tg.user_groups.add(group.id, ada) is False
    assert [each.email for each in tg.user_groups.members("climate")] == ["ada@x.org", "bob@x.org"]
    assert tg.users.get(ada).groups == ("climate",)
    assert [(each.name, each.members) for each in tg.user_groups.list()] == [
        ("apples", 0), ("climate", 2),
    ]  # fmt: skip
    assert [each.name for each in tg.user_groups.list(user="ada@x.org")] == ["climate"]
    assert tg.user_groups.remove("climate", bob) is True
    assert tg.user_groups.remove("climate", bob) is False
    assert tg.user_groups.get(group.id[:12]).members == 1
    assert tg.user_groups.delete("climate") is True
    assert tg.users.get(ada).groups == ()
    assert tg.user_groups.delete("climate", missing_ok=True) is False
    with pytest.raises(UserGroupNotFoundError, match="user groups"):
        tg.user_groups.get("climate")
    with pytest.raises(UserNotFoundError):
        tg.user_groups.add("apples", "eve")
    with pytest.raises(UserExistsError, match="of a group"):
        tg.user_groups.create("apples")
    for none in ("", "a@b", "f" * 32):
        with pytest.raises(ValidationError):
            tg.user_groups.create(none)
    with pytest.raises(SecretError):
        tg.user_groups.create("ghp_canary")


def at_once(count: int, work: Any) -> list[Any]:
    """Do something on many threads at once; returns what each gave, or raised."""
    gate = threading.Barrier(count)
    answers: list[Any] = [None] * count

    def do(number: int) -> None:
        try:
            gate.wait()
            answers[number] = work(number)
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=do, args=[number]) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return answers


def test_of_many_who_are_created_with_one_address_one_is(database_uri: str, tg: Archive) -> None:
    def create(number: int) -> Any:
        with taskgraph.open(database_uri) as mine:
            return mine.users.create("Ada@x.org" if number % 2 else "ada@X.org").id

    answers = at_once(8, create)

    made = [each for each in answers if isinstance(each, str)]
    assert len(made) == 1
    assert {type(each) for each in answers if not isinstance(each, str)} == {UserExistsError}
    assert [each.id for each in tg.users.list()] == made


def test_accounts_that_are_linked_at_once_are_all_linked(database_uri: str, tg: Archive) -> None:
    tg.users.create("ada@x.org")

    def link(number: int) -> Any:
        with taskgraph.open(database_uri) as mine:
            return mine.users.link_account("ada@x.org", "hub", str(number))

    answers = at_once(6, link)

    assert [each for each in answers if isinstance(each, Exception)] == []
    accounts = tg.users.get("ada@x.org").accounts
    assert sorted(each.account_id for each in accounts) == [str(each) for each in range(6)]
