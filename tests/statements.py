"""What a session asks the database, for tests that count it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event


class Statements:
    """The statements that a session makes from now on, however they are made."""

    def __init__(self, session: Any) -> None:
        self.texts: list[str] = []
        bind = session.get_bind()
        if bind.dialect.name == "sqlite":
            driver = session.connection().connection.driver_connection
            driver.set_trace_callback(self._note)
        else:
            event.listen(bind, "before_cursor_execute", lambda *given: self._note(given[2]))

    def _note(self, text: str) -> None:
        if "SELECT" in text:
            self.texts.append(text)
