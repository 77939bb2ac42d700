"""What all tables have in common: their base, keys that refer to others, partial indexes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import (
    DeclarativeBase,
    object_session,
)
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

from taskgraph_backend.columns import DateTimeUTC


def is_at(entity_id: str) -> str:
    """Return how tags are joined to what has an id, as text of SQLAlchemy."""
    return f"foreign(Tag.entity_id) == {entity_id}"


def tagged(kind: str, column: str) -> str:
    """Return how what is tagged is joined to its tags, as text of SQLAlchemy."""
    return f"and_(foreign(Tag.entity_id) == remote({column}), Tag.entity_type == '{kind}')"


def reference(column: str, ondelete: str | None = None) -> ForeignKey:
    """A foreign key that is looked at when the transaction ends: rows come in any order."""
    return ForeignKey(column, ondelete=ondelete, deferrable=True, initially="DEFERRED")


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of those rows only for which something holds: none of others costs anything."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class Epoch(FunctionElement[datetime]):
    """The start of 1970: the time of what an older library wrote, which knows of none."""

    inherit_cache = True


@compiles(Epoch)
def _as_number(element: Epoch, compiler: SQLCompiler, **options: Any) -> str:
    return "0"


@compiles(Epoch, "postgresql")
def _as_time(element: Epoch, compiler: SQLCompiler, **options: Any) -> str:
    return "'1970-01-01 00:00:00+00'"


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTimeUTC,
        # By the characters' numbers, as SQLite orders; and starts are found by an index.
        str: Text().with_variant(Text(collation="C"), "postgresql"),
        bytes: LargeBinary,
        bool: Boolean,
        int: BigInteger,
    }

    def _repr_html_(self) -> str | None:
        """Return how a notebook shows the record; None where nobody is there to draw it."""
        return _draw(object_session(self), self)


_Draw = Callable[[Any, Base], str | None]


_draw: _Draw = lambda session, row: None  # noqa: E731 - until somebody draws


def draw_by(draw: _Draw) -> None:
    """Say who draws records for notebooks, as HTML: by the session that read one, if it is open."""
    global _draw  # noqa: PLW0603 - said once, by who knows both rows and pages
    _draw = draw
