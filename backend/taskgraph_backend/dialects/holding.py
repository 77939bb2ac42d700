"""Who has a SQLite file that lies on a network file system: one process at a time.

SQLite's own lock on such a file holds as far as the file system passes locks on, which some do not;
and it does not say who has it. So whoever has the file says so in a file beside it, and shows every
few seconds that it is still there. Ages are told by the file system's own clock, for those of hosts
differ.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from typing import Final

from taskgraph.errors import DatabaseHeldError, DatabaseReadOnlyError
from taskgraph.records import shown_host
from taskgraph_backend.holders import is_gone_process, is_here, this_process

#: Seconds after which somebody on another host who was not heard of is gone.
LONGEST_SILENCE: Final = 60.0
_BEAT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a file.

    Attributes:
        host: Its host.
        pid: Its number there.
        started: When it started, by its host.
        user: Whose it is.
        since: When it opened the file, for people.
        token: Tells it from itself at another time.
    """

    host: str
    pid: int
    started: int
    user: str
    since: str
    token: str


class Holding:
    """A file that this process has, until it lets go of it.

    Args:
        path: The file.
        uri: What it is called in messages.
        kind: The kind of its file system.

    Raises:
        DatabaseHeldError: Another process has it.
        DatabaseReadOnlyError: Nothing can be written beside it.
    """

    def __init__(self, path: str, uri: str, kind: str) -> None:
        self._beside = f"{path}-holder"
        self._uri = uri
        self._kind = kind
        self._me = _this_holder()
        self._ended = threading.Event()
        self._take()
        self._beating = threading.Thread(target=self._beat, name="taskgraph holder", daemon=True)
        self._beating.start()

    def _take(self) -> None:
        text = json.dumps(asdict(self._me)).encode()
        while True:
            try:
                # Whole from its first moment: what is linked was written before.
                written = f"{self._beside}.{self._me.token}"
                with open(written, "wb") as stream:
                    stream.write(text)
                try:
                    os.link(written, self._beside)
                    return
                except FileExistsError:
                    self._end_one_that_is_gone(os.stat(written).st_mtime)
                except OSError:
                    # No links there: at least nobody else begins it as well.
                    if self._begin(text):
                        return
                    self._end_one_that_is_gone(os.stat(written).st_mtime)
                finally:
                    os.unlink(written)
            except OSError as error:
                raise DatabaseReadOnlyError(
                    self._uri,
                    f"it lies on a network file system ({self._kind}), and nothing can be written "
                    f"beside it ({error.strerror}). Copy it to where you can write, or add "
                    "?immutable=1 to the URI if no one writes to it.",
                ) from error

    def _begin(self, text: bytes) -> bool:
        try:
            with open(self._beside, "xb") as stream:
                stream.write(text)
        except FileExistsError:
            return False
        return True

    def _end_one_that_is_gone(self, now: float) -> None:
        """Remove what says that somebody has the file who does not live.

        Args:
            now: The time by the file system.

        Raises:
            DatabaseHeldError: Somebody has it.
        """
        try:
            with open(self._beside, "rb") as stream:
                silence = now - os.fstat(stream.fileno()).st_mtime
                holder = _holder(stream.read())
        except FileNotFoundError:
            return
        if holder is not None and is_here(holder.host):
            is_over = is_gone_process(holder.pid, holder.started)
        else:
            is_over = silence > LONGEST_SILENCE
        if not is_over:
            raise DatabaseHeldError(
                self._uri,
                self._kind,
                host=shown_host(holder.host) if holder else "an unknown host",
                pid=holder.pid if holder else 0,
                user=holder.user if holder else "",
                since=holder.since if holder else "",
            )
        # One of those who find this out moves it away; of two, the other finds it gone.
        away = f"{self._beside}.gone.{self._me.token}"
        try:
            os.rename(self._beside, away)
        except FileNotFoundError:
            return
        with open(away, "rb") as stream:
            moved = _holder(stream.read())
        if moved is not None and holder is not None and moved.token != holder.token:
            # Somebody took it in between, and has it.
            os.rename(away, self._beside)
            return
        os.unlink(away)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            try:
                os.utime(self._beside)
            except OSError:
                continue  # the file system is away; it is tried again

    def release(self) -> None:
        """Let go of the file."""
        self._ended.set()
        # What was forked from the process that has it has nothing.
        if os.getpid() != self._me.pid:
            return
        try:
            with open(self._beside, "rb") as stream:
                holder = _holder(stream.read())
            if holder is not None and holder.token == self._me.token:
                os.unlink(self._beside)
        except OSError:
            return  # nobody beats for it any more


def _this_holder() -> Holder:
    place = this_process()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return Holder(place.host, place.pid, place.started, user, since, secrets.token_hex(8))


def _holder(text: bytes) -> Holder | None:
    """Return who is said to have a file; None where it is not said, in part only or wrongly."""
    try:
        found = json.loads(text)
        return Holder(
            host=str(found["host"]),
            pid=int(found["pid"]),
            started=int(found["started"]),
            user=str(found["user"]),
            since=str(found["since"]),
            token=str(found["token"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


__all__ = ["LONGEST_SILENCE", "Holder", "Holding"]
