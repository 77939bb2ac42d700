"""Column types: what Python code sees, and what the database keeps.

A hash is 32 hex digits here and 16 bytes there, a time is an aware datetime here and whole
microseconds (or ``timestamptz``) there, JSON compares by value on both databases.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from taskgraph.jsontext import to_json
from taskgraph_backend.times import from_micros, to_micros


class Hash16(TypeDecorator[str]):
    """A hash or id: 32 lower-case hex digits in Python, 16 bytes in the database."""

    impl = LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Turn hex digits into bytes."""
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Turn bytes into hex digits."""
        return None if value is None else bytes(value).hex()


class DateTimeUTC(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite keeps it as whole microseconds since 1970."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose integers where the database has no type for times."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | datetime | None:
        """Turn an aware datetime into what the database keeps."""
        if value is None:
            return None
        micros = to_micros(value)
        return micros if dialect.name == "sqlite" else from_micros(micros)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Turn what the database keeps into an aware datetime in UTC."""
        if value is None:
            return None
        return from_micros(value) if dialect.name == "sqlite" else value.astimezone(UTC)


class JSON(TypeDecorator[Any]):
    """A JSON value; two columns are equal where their values are, on both databases."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose JSONB where there is one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB())
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Turn a value into its one text (and refuse what cannot be stored)."""
        text = to_json(value)
        return json.loads(text) if dialect.name == "postgresql" else text

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Turn text into the value again."""
        return value if dialect.name == "postgresql" or value is None else json.loads(value)


__all__ = ["JSON", "DateTimeUTC", "Hash16", "from_micros", "to_micros"]
