"""A line to a server that is slow, or that breaks: for measuring and for tests.

    python benchmarks/line.py TARGET [--delay 0.5] [--cut 1000 90000 --seed 7]

TARGET is ``host:port`` or the path of a socket. The port on which it listens is printed. Bytes
arrive after a delay, in each direction, without fewer of them arriving in a second. A line that
is cut ends both of its connections after some random number of bytes, wherever that falls.
"""

from __future__ import annotations

import argparse
import queue
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 16
#: Ends a connection so that the other side is told of an error and not of an end.
_RESET = struct.pack("ii", 1, 0)


class Line:
    """One connection through the line.

    Args:
        near: The client's socket.
        far: The server's.
        delay: Seconds that bytes take, one way.
        left: How many bytes go through before it is cut; None for all.
        is_rude: Whether both ends are told of an error when it is cut.
    """

    def __init__(
        self, near: socket.socket, far: socket.socket, delay: float, left: int | None, is_rude: bool
    ) -> None:
        self._ends = (near, far)
        self._delay = delay
        self._left = left
        self._is_rude = is_rude
        self._counting = threading.Lock()

    def start(self) -> None:
        """Carry bytes both ways from now on."""
        near, far = self._ends
        for source, target in ((near, far), (far, near)):
            if not self._delay:
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()
                continue
            on_its_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            for work, end in ((self._take, source), (self._give, target)):
                threading.Thread(target=work, args=(end, on_its_way), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while taken := source.recv(CHUNK):
                allowed = self._allowed(len(taken))
                target.sendall(taken[:allowed])
                if allowed < len(taken):
                    break
        except OSError:
            pass
        self._end()

    def _take(
        self, source: socket.socket, on_its_way: queue.SimpleQueue[tuple[float, bytes]]
    ) -> None:
        taken = b"-"
        while taken:
            try:
                taken = source.recv(CHUNK)
            except OSError:
                taken = b""
            on_its_way.put((time.perf_counter() + self._delay, taken))

    def _give(
        self, target: socket.socket, on_its_way: queue.SimpleQueue[tuple[float, bytes]]
    ) -> None:
        while True:
            due, taken = on_its_way.get()
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            try:
                target.sendall(taken)
            except OSError:
                taken = b""
            if not taken:
                return self._end()

    def _allowed(self, count: int) -> int:
        with self._counting:
            if self._left is None:
                return count
            allowed = min(count, self._left)
            self._left -= allowed
            return allowed

    def _end(self) -> None:
        for each in self._ends:
            try:
                if self._is_rude:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


def reach(target: str) -> socket.socket:
    """Connect to ``host:port``, or to a socket by its path."""
    if "/" in target:
        made = socket.socket(socket.AF_UNIX)
        made.connect(target)
        return made
    host, _, port = target.rpartition(":")
    made = socket.create_connection((host, int(port)))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def serve(target: str, delay: float, cut: tuple[int, int] | None, seed: int) -> None:
    """Listen on a port of its own, and say which, until the process is ended."""
    chance = random.Random(seed)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            near, _ = listening.accept()
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            left = None if cut is None else chance.randint(*cut)
            is_rude = cut is not None and chance.random() < 0.5
            try:
                far = reach(target)
            except OSError:
                near.close()
                continue
            Line(near, far, delay, left, is_rude).start()


@contextmanager
def open_line(
    target: str, *, delay: float = 0.0, cut: tuple[int, int] | None = None, seed: int = 1
) -> Iterator[int]:
    """Give the port of a line to a target, in a process of its own.

    Args:
        target: ``host:port``, or the path of a socket.
        delay: Seconds that bytes take, one way.
        cut: After how many bytes at least and at most a connection is cut.
        seed: Says after how many.
    """
    command = [sys.executable, str(Path(__file__)), target, "--delay", str(delay * 1000)]
    if cut is not None:
        command += ["--cut", *map(str, cut), "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds, one way")
    parser.add_argument("--cut", type=int, nargs=2, help="bytes, at least and at most")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    cut = None if chosen.cut is None else (chosen.cut[0], chosen.cut[1])
    serve(chosen.target, chosen.delay / 1000, cut, chosen.seed)


if __name__ == "__main__":
    main()
