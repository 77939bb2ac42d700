"""The two pipes between a slot and its supervisor: the end of one is the end of the slot."""

from __future__ import annotations

import os
import signal
import threading
from typing import NoReturn

from taskgraph.serving.orders import DRAIN, Report, SlotOrder


class Pipes:
    """What a slot is told, and what it says.

    Args:
        orders: What the supervisor says is read here.
        reports: What the slot says is written here.
    """

    def __init__(self, orders: int, reports: int) -> None:
        for each in (orders, reports):
            os.set_inheritable(each, False)
        self._orders = os.fdopen(orders, "rb", buffering=0)
        self._reports = reports
        self.drained = threading.Event()

    def read_order(self) -> SlotOrder:
        """Return what is to be done."""
        line = self._orders.readline()
        if not line:
            end_at_once()
        return SlotOrder.parse(line)

    def watch(self) -> None:
        """Hear what the supervisor says from now on, on a thread of its own."""
        threading.Thread(target=self._hear, name="taskgraph-orders", daemon=True).start()

    def _hear(self) -> None:
        while line := self._orders.readline():
            if line.strip() == DRAIN.encode():
                self.drained.set()
        end_at_once()

    def say(self, report: Report) -> None:
        """Tell the supervisor something."""
        try:
            os.write(self._reports, report.to_line())
        except OSError:
            end_at_once()  # nobody is there to be told


def end_at_once() -> NoReturn:
    """End this process and all that it started, without another word to anybody."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


__all__ = ["Pipes", "end_at_once"]
