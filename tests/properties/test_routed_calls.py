"""Whatever runs and servers do: a call is had by one server at a time, and is answered once.

Two servers and two runs do what they can in any order, servers and runs end, and a model of plain
sets knows what must be there.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from taskgraph.records import ExecutionId, JobId, LeaseRecord, Micros, RoutedCall, execution_lease
from taskgraph_backend import SqlBackend
from taskgraph_backend.holders import this_process
from taskgraph_backend.routing.calls import RoutedCalls
from taskgraph_backend.routing.lost_calls import MOST_LOSSES
from taskgraph_backend.routing.served import ServedCalls
from tests.rows import FOREVER, key

_RUNS = st.sampled_from([0xE1, 0xE2])
_SERVERS = st.integers(0, 1)
_NUMBERS = st.integers(0, 5)
_QUEUES = (("gpu", "cpu"), ("cpu",))


class RoutedCallsMachine(RuleBasedStateMachine):
    """The rows of calls, and what they must be."""

    @initialize()
    def begin(self) -> None:
        self.backend = SqlBackend()
        self.backend.load()
        self.calls = RoutedCalls(self.backend)
        self.waiting: dict[int, tuple[int, str]] = {}  # run and queue, in their order
        self.held: dict[int, tuple[int, int, str]] = {}  # server, run and queue
        self.losses: dict[int, int] = {}
        self.answers: dict[int, bytes | None] = {}
        self.run_of: dict[int, int] = {}
        self.next = 0
        self.names = [f"{each:032x}" for each in (1, 2)]
        self.servers = [self._server(0), self._server(1)]
        self.living = {0xE1, 0xE2}
        for run in self.living:
            self._hold(run)

    def _server(self, number: int) -> ServedCalls:
        made = ServedCalls(self.backend, self.names[number], _QUEUES[number], None, 3_600.0)
        made.beat()
        return made

    def _hold(self, run: int) -> None:
        name = ExecutionId(key(run))
        lease = LeaseRecord(execution_lease(name), name, *this_process(), Micros(FOREVER))
        assert self.backend.take([lease]) == [None]

    def teardown(self) -> None:
        if hasattr(self, "backend"):
            self.backend.close()

    @rule(run=_RUNS, queue=st.sampled_from(["gpu", "cpu"]))
    def put(self, run: int, queue: str) -> None:
        if run not in self.living:
            return
        number, self.next = self.next, self.next + 1
        call = RoutedCall(key(number), ExecutionId(key(run)), JobId(key(9)), queue, "f", b"x")
        self.calls.put([call])
        self.waiting[number] = (run, queue)
        self.losses[number] = 0
        self.run_of[number] = run

    @rule(server=_SERVERS, most=st.integers(1, 3))
    def take(self, server: int, most: int) -> None:
        taken = [int(each.id, 16) for each in self.servers[server].take(most)]

        first = [n for n in sorted(self.waiting) if self.waiting[n][1] in _QUEUES[server]][:most]
        gone = {self.waiting[n][0] for n in first} - self.living
        assert taken == [n for n in first if self.run_of[n] in self.living]
        for number in taken:
            self.held[number] = (server, *self.waiting.pop(number))
        self._forget_runs(gone)

    @rule(server=_SERVERS, number=_NUMBERS)
    def answer(self, server: int, number: int) -> None:
        said = b"%d of %d" % (number, server)
        self.servers[server].answer([(key(number), said)])

        if number in self.held and self.held[number][0] == server:
            del self.held[number]
            self.answers[number] = said

    @rule(server=_SERVERS, number=_NUMBERS)
    def release(self, server: int, number: int) -> None:
        self.servers[server].release([key(number)])

        if number in self.held and self.held[number][0] == server:
            self.waiting[number] = self.held.pop(number)[1:]

    @rule(server=_SERVERS, number=_NUMBERS)
    def lose(self, server: int, number: int) -> None:
        self.servers[server].lose(key(number))

        if number in self.held and self.held[number][0] == server:
            self._lost(number)

    def _lost(self, number: int) -> None:
        _, run, queue = self.held.pop(number)
        self.losses[number] += 1
        if self.losses[number] >= MOST_LOSSES:
            self.answers[number] = None
        else:
            self.waiting[number] = (run, queue)

    @rule(number=_NUMBERS, also_taken=st.booleans())
    def withdraw(self, number: int, also_taken: bool) -> None:
        gone = self.calls.withdraw([key(number)], also_taken=also_taken)

        if also_taken:
            for each in (self.waiting, self.held, self.answers):
                each.pop(number, None)
        else:
            assert gone == ({key(number)} if number in self.waiting else set())
            self.waiting.pop(number, None)

    @rule(server=_SERVERS, sees=_SERVERS)
    def die(self, server: int, sees: int) -> None:
        """A server ends without a word, and another one begins in its place."""
        name = self.names[server]
        keys = [f"server:{name}", *(f"serving:{name}:{each}" for each in _QUEUES[server])]
        self.backend.release(name, keys)
        self.names[server] = f"{int(name, 16) + 2:032x}"
        self.servers[server] = self._server(server)

        self.servers[sees].tend()

        for number in [n for n, each in self.held.items() if each[0] == server]:
            self._lost(number)
        self._forget_runs({0xE1, 0xE2} - self.living)

    @rule(run=_RUNS)
    def end_run(self, run: int) -> None:
        name = ExecutionId(key(run))
        self.backend.release(name, [execution_lease(name)])
        self.living.discard(run)

    def _forget_runs(self, runs: set[int]) -> None:
        for number, run in self.run_of.items():
            if run in runs:
                for each in (self.waiting, self.held, self.answers):
                    each.pop(number, None)

    @invariant()
    def is_as_it_must_be(self) -> None:
        if not hasattr(self, "backend"):
            return
        runs = [ExecutionId(key(0xE1)), ExecutionId(key(0xE2))]
        there = {int(each, 16): taken for each, taken in self.calls.look(runs).items()}
        waiting = {number for number, taken in there.items() if not taken}
        assert waiting == self.waiting.keys()
        for number, server in enumerate(self.servers):
            held = {int(each, 16) for each in server.find_held()}
            assert held == {n for n, each in self.held.items() if each[0] == number}
        answers = {int(each.id, 16): each.answer for each in self.calls.answers(runs)}
        assert answers == self.answers
        assert there.keys() == self.waiting.keys() | self.held.keys() | self.answers.keys()


TestRoutedCalls = RoutedCallsMachine.TestCase
TestRoutedCalls.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
