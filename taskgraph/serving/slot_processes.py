"""A slot as its supervisor has it: a process and two pipes, which ends with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from taskgraph.scripting.groups import is_guarded
from taskgraph.serving.orders import DRAIN, SlotOrder

_SCRIPTS: Final = 5.0  # scripts of a slot that is gone have ended after two of these, or are stuck
_SHORT: Final = 0.05


@dataclass(slots=True)
class Slot:
    """A slot as its supervisor sees it.

    Attributes:
        number: Which of them it is.
        process: What runs it.
        orders: What it is told is written here.
        reports: What it says is read here.
        quota: How many more it takes at most; None for no end.
        running: The executions that it has, with their names.
        started: When it was started.
        unread: The beginning of a line.
    """

    number: int
    process: subprocess.Popen[bytes]
    orders: int
    reports: int
    quota: int | None
    started: float
    running: dict[str, str] = field(default_factory=dict)
    unread: bytes = b""

    @classmethod
    def start(
        cls, number: int, quota: int | None, command: Sequence[str], order: SlotOrder
    ) -> Slot:
        """Start a slot.

        Args:
            number: Which of them it is.
            quota: How many it takes at most.
            command: What starts it; two numbers of pipes follow it.
            order: What it is told, but for the quota.

        Raises:
            OSError: There is no memory, or there may be no more processes.
        """
        orders_in, orders = os.pipe()
        try:
            reports, reports_out = os.pipe()
        except OSError:
            os.close(orders_in)
            os.close(orders)
            raise
        try:
            process = subprocess.Popen(
                [*command, str(orders_in), str(reports_out)],
                stdin=subprocess.DEVNULL,
                pass_fds=(orders_in, reports_out),
                # Of a group of its own: a Ctrl-C is the supervisor's, and all of it can be ended.
                start_new_session=True,
            )
        except OSError:
            os.close(orders)
            os.close(reports)
            raise
        finally:
            os.close(orders_in)
            os.close(reports_out)
        with suppress(BrokenPipeError):  # it has ended already, which is seen to
            os.write(orders, replace(order, quota=quota).to_line())
        return cls(number, process, orders, reports, quota, time.monotonic())

    def drain(self) -> None:
        """Have it take no more."""
        with suppress(OSError):  # it has ended
            os.write(self.orders, f"{DRAIN}\n".encode())

    def kill(self) -> None:
        """End it with all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def wait_for_scripts(self) -> None:
        """Wait until its scripts have ended, which are asked to once it is gone.

        What it ran must not be run by another one beside them.
        """
        end = time.monotonic() + _SCRIPTS
        while is_guarded(self.process.pid) and time.monotonic() < end:
            time.sleep(_SHORT)

    def close(self) -> None:
        """Let go of its pipes."""
        os.close(self.reports)
        os.close(self.orders)


__all__ = ["Slot"]
