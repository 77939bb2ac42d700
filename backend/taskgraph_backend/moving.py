"""Moves records between databases: what one has and another lacks, and the verbs for it.

What is moved is written from the bottom up: a record comes after all that it names. So a database
that has a record has all below it, whenever the moving was broken off, and who begins again goes on
from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from taskgraph.errors import DatabaseError, MissingRecordError, without_password
from taskgraph_backend import foreign, statements
from taskgraph_backend.connected import Connected
from taskgraph_backend.foreign import Origin, Trusted

if TYPE_CHECKING:
    from taskgraph_backend.dialects import Database, Driver
    from taskgraph_backend.kept import KeptRows
    from taskgraph_backend.reader import Reader
    from taskgraph_backend.serializers import Record, Rows
    from taskgraph_backend.walking import ChildEdge

#: What is told while records are moved: how many were looked at, and how many of them were new.
Progress = Callable[[int, int], None]

Answer = TypeVar("Answer")


class RecordVerbs(Connected):
    """The verbs of a backend that move records, and that trust what was moved."""

    if TYPE_CHECKING:

        def has_records(self, record_ids: Iterable[str]) -> set[str]: ...  # noqa: D102

    def get_records(self, ids: Iterable[str], sorted: bool = True) -> Iterator[Record]:
        """Yield the records of ids, as dicts; ids that are not recorded are left out.

        Args:
            ids: Ids of records of any kind.
            sorted: Whether they come in the order of the ids; else those of a kind together.
        """
        from taskgraph_backend.serializers import RecordSerializer
        from taskgraph_backend.walking import types_of

        serializer = RecordSerializer()
        with self.reader() as session:
            for piece in _pieces(ids):
                kinds = types_of(session, piece)
                if sorted:
                    order = [(kinds[each], each) for each in piece if each in kinds]
                else:
                    order = _by_kind(kinds)
                for kind, wanted in _runs(order):
                    yield from serializer.get_subserializer(kind).fetch(session, wanted)

    def iter_record_ids(self, root_ids: Iterable[str]) -> Iterator[str]:
        """Yield the ids of records and of all that they own or name, each once, roots first."""
        from taskgraph_backend.walking import walk

        with self.reader() as session:
            yield from walk(session, root_ids)

    def get_child_record_ids(self, record_ids: Iterable[str]) -> list[ChildEdge]:
        """Return what records of any kind own or name, one level down, tags included."""
        from taskgraph_backend.walking import child_edges, get_tag_entity_child_edges

        ids = list(dict.fromkeys(record_ids))
        with self.reader() as session:
            edges = {*child_edges(session, ids), *get_tag_entity_child_edges(session, ids)}
        return sorted(edges)

    def put_records(
        self, records: Iterable[Record], *, origin: str = "elsewhere", dry_run: bool = False
    ) -> int:
        """Write records from elsewhere in one transaction; what is there stays as it is.

        What is new is not trusted: it is shown, and used for nothing.

        Args:
            records: As `get_records` gives them, in any order.
            origin: Where they come from, for who is asked later whether to trust them.
            dry_run: Whether to count only.

        Returns:
            How many were new.

        Raises:
            InvalidRecordError: One is not what it says that it is; nothing was written.
            MissingRecordError: One names another that is not there; nothing was written.
        """
        from taskgraph_backend.serializers import RecordSerializer

        serializer = RecordSerializer()
        rows = (serializer.rows(each) for each in records)
        return sum(self.put_rows(rows, origin=origin, dry_run=dry_run).values())

    def put_rows(
        self, records: Iterable[Rows], *, origin: str = "elsewhere", dry_run: bool = False
    ) -> dict[str, int]:
        """Do as `put_records` for records that were checked; return how many were new by type."""
        from taskgraph_backend.importing import outside_first
        from taskgraph_backend.kept import KeptRows

        # What is only counted is put nowhere.
        checked = outside_first(records, None if dry_run else self.value_store)
        # All is read and checked before anybody waits, and may be written more than once.
        with closing(KeptRows(checked, self.database.uri)) as kept:
            try:
                return self._transact(
                    _put,
                    self.database,
                    kept,
                    origin,
                    time.time_ns() // 1000,
                    dry_run,
                )
            except _TakeBackError as taken:
                return taken.new
            except DatabaseError as error:
                if self.database.names_missing(error.__cause__):
                    raise _missing(error.reason) from error
                raise

    def has_subtypes(self, kind: str, record_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that are known to be a ``Task``, or a ``Handle``."""
        return self._ask(_find_subtypes, kind, list(record_ids))

    # Trust

    def list_origins(self) -> list[Origin]:
        """Return where records came from that are not trusted, and how many there are."""
        return self._ask(foreign.origins)

    def find_untrusted(self, ids: Sequence[str]) -> dict[str, str]:
        """Return which values, calls and executions are not trusted, and where they came from."""
        return self._ask(foreign.untrusted, ids)

    def trust_records(
        self, root_ids: Iterable[str], origins: Sequence[str] = ()
    ) -> tuple[Trusted, dict[str, int]]:
        """Trust records with all that they own or name: from now on they are as if made here.

        Args:
            root_ids: The records.
            origins: Of whom; by default of those who brought the records themselves.

        Returns:
            How many are trusted now that were not, and how many are left, by who brought these.
        """
        roots = list(root_ids)
        ids = list(self.iter_record_ids(roots))
        return self._transact(_trust, roots, ids, origins)

    def trust_origin(self, origin: str | None = None) -> Trusted:
        """Trust all that came from a place; without one, all there is."""
        return self._transact(foreign.trust_all, origin)


class _TakeBackError(Exception):
    """Ends a transaction of which nothing is to be kept."""

    def __init__(self, new: dict[str, int]) -> None:
        super().__init__(new)
        self.new = new


def _put(
    driver: Driver,
    database: Database,
    kept: KeptRows,
    origin: str,
    now: int,
    dry_run: bool,
) -> dict[str, int]:
    from taskgraph_backend.importing import Writer

    writer = Writer(driver, origin, now)
    for batch in kept.batches():
        writer.write(batch)
    writer.end()
    if dry_run:
        # What a commit would do.
        lacking = database.find_missing(driver)
        if lacking is not None:
            raise _missing(" to ".join(lacking))
        raise _TakeBackError(writer.new)
    return writer.new


def _missing(reason: str) -> MissingRecordError:
    return MissingRecordError(
        f"records name others that are neither among them nor here ({reason.strip()})",
        advice="Export them together with what they name: taskgraph export does that.",
    )


def _trust(
    driver: Driver, roots: Sequence[str], ids: Sequence[str], origins: Sequence[str]
) -> tuple[Trusted, dict[str, int]]:
    return foreign.trust(driver, ids, origins or foreign.bringers(driver, roots))


def _find_subtypes(driver: Driver, kind: str, record_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for keys in _pieces(record_ids):
        marks = ", ".join("?" * len(keys))
        rows = driver.execute(
            f"SELECT hash FROM {kind.lower()} WHERE hash IN ({marks})",
            [bytes.fromhex(key) for key in keys],
        )
        found.update(key.hex() for (key,) in rows)
    return found


def _pieces(ids: Iterable[str]) -> Iterator[list[str]]:
    piece: list[str] = []
    for each in ids:
        piece.append(each)
        if len(piece) == statements.MOST_KEYS:
            yield piece
            piece = []
    if piece:
        yield piece


def _by_kind(kinds: dict[str, str]) -> list[tuple[str, str]]:
    return sorted((kind, key) for key, kind in kinds.items())


def _runs(order: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Put neighbours of one kind together."""
    run: list[str] = []
    last = ""
    for kind, key in order:
        if run and kind != last:
            yield last, run
            run = []
        last = kind
        run.append(key)
    if run:
        yield last, run


# From one database to another


@dataclass(slots=True)
class Moved:
    """What was moved.

    Attributes:
        looked_at: How many records were compared by their ids.
        new: How many were not there, by type.
        running: Executions that were left out, for they have not ended.
    """

    looked_at: int = 0
    new: dict[str, int] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)

    def add(self, new: dict[str, int]) -> None:
        """Add what was new in a batch."""
        for kind, count in new.items():
            self.new[kind] = self.new.get(kind, 0) + count


class Mover:
    """Moves what one database has and another lacks.

    Args:
        source: Where records are.
        target: Where they are wanted.
        origin: What the target writes down as their origin.
        tell: Told how far it is.
    """

    def __init__(
        self,
        source: RecordVerbs,
        target: RecordVerbs,
        origin: str,
        tell: Progress = lambda looked_at, new: None,
    ) -> None:
        self._source = source
        self._target = target
        self._origin = origin
        self._tell = tell
        self.moved = Moved()

    def move(self, root_ids: Sequence[str] | None = None) -> Moved:
        """Move records with all that they name, their tags, and the aliases of their tasks.

        Args:
            root_ids: The records; by default all executions.
        """
        attempt = before = 0
        while True:
            try:
                return self._move(root_ids)
            except DatabaseError as error:
                # The target has waited itself; what it has is left out from now on.
                if error.uri != without_password(self._source.database.uri):
                    raise
                done = sum(self.moved.new.values())
                attempt = 1 if done > before else attempt + 1
                before = done
                self._source._wait_or_raise(error, attempt)
                self.moved = Moved(new=self.moved.new)

    def _move(self, root_ids: Sequence[str] | None) -> Moved:
        from taskgraph_backend.walking import types_of

        with self._source.reader() as session:
            if root_ids is None:
                executions, others = ended_executions(session, self.moved.running), []
            else:
                wanted = _executions_of(session, types_of(session, root_ids))
                executions, running = _only_ended(session, wanted["Execution"])
                self.moved.running += running
                others = wanted["Others"]
            self._move_below(session, {("Value", each) for each in others})
            for execution in self._lacking(executions):
                self._move_execution(session, execution)
            roots = None if root_ids is None else [*executions, *others]
            tasks = self._move_aliases(session, roots)
            self._move_tags(session, None if roots is None else [*roots, *tasks])
        return self.moved

    def _lacking(self, ids: Iterable[str], kind: str = "") -> Iterator[str]:
        for piece in _pieces(ids):
            known = (
                self._target.has_subtypes(kind, piece)
                if kind in {"Task", "Handle"}
                else self._target.has_records(piece)
            )
            self.moved.looked_at += len(piece)
            self._say()
            yield from (each for each in piece if each not in known)

    def _say(self) -> None:
        self._tell(self.moved.looked_at, sum(self.moved.new.values()))

    def _put(self, ids: Sequence[str]) -> None:
        from taskgraph_backend.serializers import RecordSerializer

        serializer = RecordSerializer()
        rows = (serializer.rows(each) for each in self._source.get_records(ids))
        self.moved.add(self._target.put_rows(rows, origin=self._origin))
        self._say()

    def _move_execution(self, session: Reader, execution: str) -> None:
        from taskgraph_backend.walking import get_execution_child_edges, get_job_child_edges

        edges = list(get_execution_child_edges(session, [execution]))
        jobs = sorted({each.child_id for each in edges if each.child_type == "Job"})
        below = {each[1:] for each in edges if each.child_type != "Job"}
        for piece in _pieces(jobs):
            for edge in get_job_child_edges(session, piece):
                if edge.child_type != "Job":
                    below.add(edge[1:])
        self._move_below(session, below)
        # Jobs refer to each other and to their execution: all of them, or none.
        self.moved.looked_at += len(jobs)
        self._put([*jobs, execution])

    def _move_below(self, session: Reader, roots: set[tuple[str, str]]) -> None:
        """Move values and calls with all below them, each after those that it names."""
        from taskgraph_backend.walking import edges_of, types_of

        names: dict[str, set[str]] = {}

        def find_new(found: set[tuple[str, str]]) -> list[str]:
            wanted: dict[str, list[str]] = {}
            for kind, key in sorted(found):
                if key not in names:
                    wanted.setdefault(kind, []).append(key)
            new = {key for kind, ids in wanted.items() for key in self._lacking(ids, kind)}
            names.update((key, set()) for key in new)
            return sorted(new)

        level = find_new(roots)
        while level:
            edges: set[ChildEdge] = set()
            for piece in _pieces(level):
                for kind, ids in _runs(_by_kind(types_of(session, piece))):
                    edges.update(edges_of(session, kind, ids))
            found = {(edge.child_type, edge.child_id) for edge in edges}
            level = find_new(found)
            for edge in edges:
                if edge.child_id in names:
                    names[edge.parent_id].add(edge.child_id)
        for batch in in_order(names):
            self._put(batch)

    def _move_tags(self, session: Reader, roots: Sequence[str] | None) -> None:
        from taskgraph_backend.walking import get_tag_child_edges, walk

        if roots is None:
            wanted: Iterable[tuple[str, str]] = _all_tags(session)
        else:
            wanted = _tags_of(session, walk(session, roots, with_tags=False))
        names: dict[str, set[str]] = {}
        for piece in _pairs(wanted):
            known = self._target.has_records({*piece, *piece.values()})
            self.moved.looked_at += len(piece)
            for tag, entity in piece.items():
                if tag not in known and entity in known:
                    names[tag] = set()
        # What they supersede goes along, even if it is on no record any more.
        waiting = list(names)
        while waiting:
            some, waiting = waiting[: statements.MOST_KEYS], waiting[statements.MOST_KEYS :]
            edges = list(get_tag_child_edges(session, some))
            above = {each.child_id for each in edges} - names.keys()
            for tag in self._lacking(sorted(above)):
                names[tag] = set()
                waiting.append(tag)
            for edge in edges:
                if edge.child_id in names:
                    names[edge.parent_id].add(edge.child_id)
        for batch in in_order(names):
            self._put(batch)

    def _move_aliases(self, session: Reader, roots: Sequence[str] | None) -> list[str]:
        """Move the aliases of tasks that were moved, and the tasks on their other sides.

        Returns:
            The tasks of these aliases.
        """
        from taskgraph_backend.aliases import Aliases
        from taskgraph_backend.serializers import RecordSerializer
        from taskgraph_backend.walking import walk

        every = Aliases.read(session)
        if not every.records:
            return []
        moved = (
            self._target.has_subtypes("Task", sorted(every.tasks))
            if roots is None
            else every.among(walk(session, roots, with_tags=False))
        )
        found = every.concerning(moved)
        if not found.records:
            return []
        tasks = sorted(found.tasks)
        self._move_below(session, {("Task", each) for each in tasks})
        rows = map(RecordSerializer().rows, found.records)
        self.moved.looked_at += len(found.records)
        self.moved.add(self._target.put_rows(rows, origin=self._origin))
        self._say()
        return tasks


def in_order(names: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield records in batches, each after those that it names, by their ids where that is all one.

    Those that name each other in a circle, and what is above them, come last and together: calls
    may have taken each other's results at different times.

    Args:
        names: Each record, and those among them that it names.
    """
    above: dict[str, list[str]] = {}
    missing = {key: len(inner) for key, inner in names.items()}
    for key, inner in names.items():
        for each in inner:
            above.setdefault(each, []).append(key)
    ready = sorted(key for key, count in missing.items() if not count)
    while ready:
        yield from _pieces(ready)
        later: list[str] = []
        for key in ready:
            del missing[key]
            for each in above.pop(key, ()):
                missing[each] -= 1
                if not missing[each]:
                    later.append(each)
        ready = sorted(later)
    if missing:
        yield sorted(missing)


def ended_executions(session: Reader, running: list[str]) -> list[str]:
    """Return the ids of the executions that have ended; the others are added to a list."""
    from sqlalchemy import select

    from taskgraph_backend import models

    execution = models.Execution
    return _split(session.execute(select(execution.id, execution.state_type)), running)


def _only_ended(session: Reader, ids: Sequence[str]) -> tuple[list[str], list[str]]:
    from sqlalchemy import select

    from taskgraph_backend import models

    running: list[str] = []
    found: list[str] = []
    execution = models.Execution
    for piece in _pieces(ids):
        query = select(execution.id, execution.state_type).where(execution.id.in_(piece))
        found += _split(session.execute(query), running)
    return found, running


def _split(rows: Any, running: list[str]) -> list[str]:
    from taskgraph_backend.serializers import ENDED

    ended: list[str] = []
    for key, state in rows:
        (ended if state in ENDED else running).append(key)
    return sorted(ended)


def _executions_of(session: Reader, kinds: dict[str, str]) -> dict[str, list[str]]:
    """Return the executions that are meant, those of jobs too, and all else."""
    from sqlalchemy import select

    from taskgraph_backend import models

    jobs = [key for key, kind in kinds.items() if kind == "Job"]
    executions = {key for key, kind in kinds.items() if kind == "Execution"}
    for piece in _pieces(jobs):
        query = select(models.Job.execution_id).where(models.Job.id.in_(piece))
        executions |= set(session.scalars(query))
    others = [key for key, kind in kinds.items() if kind not in {"Job", "Execution"}]
    return {"Execution": sorted(executions), "Others": sorted(others)}


def _all_tags(session: Reader) -> Iterator[tuple[str, str]]:
    from sqlalchemy import select

    from taskgraph_backend import models

    rows = session.execute(
        select(models.Tag.tag_hash, models.Tag.entity_id).execution_options(yield_per=500)
    )
    yield from ((row.tag_hash, row.entity_id) for row in rows)


def _tags_of(session: Reader, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    from taskgraph_backend.walking import get_tag_entity_child_edges

    for piece in _pieces(ids):
        for edge in get_tag_entity_child_edges(session, piece):
            yield edge.child_id, edge.parent_id


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    found: dict[str, str] = {}
    for tag, entity in pairs:
        found[tag] = entity
        if len(found) == statements.MOST_KEYS:
            yield found
            found = {}
    if found:
        yield found
