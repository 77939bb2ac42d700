"""What a session asks the database, for tests that count it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event


class Statements:
    """The statements that a session makes from now on."""

    def __init__(self, session: Any) -> None:
        self.texts: list[str] = []
        event.listen(session.get_bind(), "before_cursor_execute", self._note)

    def _note(self, *arguments: object) -> None:
        if "SELECT" in str(arguments[2]):
            self.texts.append(str(arguments[2]))
