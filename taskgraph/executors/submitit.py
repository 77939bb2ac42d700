"""`SubmititExecutor`: runs calls as jobs of SLURM, by the package submitit.

    calls are ready           one job each; alike ones together, as a job array
    a job is submitted        its number is noted under the key of its call
    the head process dies     the job goes on
    the next run asks again   the number is found, and the job waited for instead of another one
    its result is there       the note is taken away, and the scheduler records the result

Where there is no SLURM, submitit's executor of this machine stands in for it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import submitit
from submitit.core.utils import UncompletedJobError

from taskgraph.errors import ExecutorError
from taskgraph.executors.border import decode_outcomes
from taskgraph.executors.commands import run_command
from taskgraph.executors.pooled import PooledExecutor
from taskgraph.executors.there import run_there
from taskgraph.ports import Call, Command, Outcome, Resources, Returned
from taskgraph.records import JobId
from taskgraph.sizes import read_size
from taskgraph.values import walk

_GIB: Final = 1024**3
_PAUSE: Final = 0.05  # seconds between two looks at jobs of this machine
_CLUSTER_PAUSE: Final = 1.0  # and at those of a cluster, whose results are files
_SPARE: Final = 60.0  # seconds that a job has beyond the time limit of its call
_NOTE: Final = re.compile(r"[\w.]+")


class _Put(NamedTuple):
    """A call that is about to be submitted."""

    future: Future[bytes]
    message: list[bytes]
    call: Call


class _Watched(NamedTuple):
    """A job: what waits for it, and the note of its number."""

    job: submitit.Job[bytes]
    future: Future[bytes]
    note: Path | None
    is_found: bool  # it was begun by an earlier process


class SubmititExecutor(PooledExecutor):
    """Runs each call as a job of its own.

    Args:
        name: The name that tasks choose it by.
        folder: Where submitit puts jobs, results and logs: one that all machines see.
        cluster: ``slurm``, ``local`` (this machine), or None for what there is.
        max_jobs: How many jobs may be submitted at once; by default 1,000, and on this machine one
            for each core.
        arguments: What jobs are asked for, by submitit's names: ``slurm_partition``,
            ``timeout_min``, ``slurm_array_parallelism``, and so on. The hints ``cpus``, ``gpus``,
            ``memory`` and the option ``timeout`` of a call go before them.
    """

    resumes = True
    lost: ClassVar[tuple[type[BaseException], ...]] = (UncompletedJobError,)
    ahead = 1

    def __init__(
        self,
        name: str = "submitit",
        folder: str = ".taskgraph/submitit",
        cluster: str | None = None,
        max_jobs: int | None = None,
        **arguments: Any,
    ) -> None:
        self._folder = Path(folder).expanduser().absolute()
        self._cluster = cluster
        self._arguments = arguments
        self._max_jobs = max_jobs
        super().__init__(name, max_jobs)
        self._submitter: submitit.Executor | None = None
        self._put: list[_Put] = []
        self._watched: list[_Watched] = []
        self._changed = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def _is_local(self) -> bool:
        return self._submitter is not None and self._submitter.name() != "slurm"

    def open(self) -> None:
        """Find the cluster.

        Raises:
            ExecutorError: It is not there, or cannot be asked for what the settings say.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / "notes").mkdir(exist_ok=True)
        try:
            self._submitter = self._made_submitter(None)
        except (RuntimeError, ValueError, NameError, AssertionError, TypeError) as error:
            raise ExecutorError(f"executor {self.name!r}: {error}") from error
        if self._max_jobs is None:
            self.size = (os.cpu_count() or 1) if self._is_local else 1_000

    def _made_submitter(self, call: Call | None) -> submitit.Executor:
        """Return a new one for each kind of job: its parameters only ever grow."""
        made = submitit.AutoExecutor(self._folder / "%j", cluster=self._cluster)
        made.update_parameters(**self._parameters_of(call))
        submitter: submitit.Executor = made._executor
        return submitter

    def close(self, is_now: bool) -> None:
        """Forget the jobs, or cancel them."""
        watched, self._watched = self._watched, []
        if is_now:
            for each in watched:
                self._end(each)
        self._changed.set()

    def slots(self, call: Call) -> int:
        """Return 1: what a call needs is SLURM's affair."""
        return 1

    def goes_alone(self, call: Call) -> bool:
        """Tell that each call is a job."""
        return True

    def send(self, run: Callable[..., bytes], /, *args: Any) -> Future[bytes]:
        """Have a function run by a job."""
        assert self._submitter is not None
        future: Future[bytes] = Future()
        self._watch([_Watched(self._submitter.submit(run, *args), future, None, False)])
        return future

    # On their way there

    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Future[bytes]:
        """Put a call to those that are submitted together, unless its job is there already."""
        (call,) = calls
        future: Future[bytes] = Future()
        note = self._note_of(call)
        job = None if note is None else self._job_of(note)
        if job is not None:
            self._watch([_Watched(job, future, note, True)])
        else:
            self._put.append(_Put(future, messages, call))
        return future

    def flush(self) -> None:
        """Submit what was put together: jobs that ask for the same are an array."""
        put, self._put = self._put, []
        groups: dict[tuple[Resources, float | None], list[_Put]] = {}
        for each in put:
            groups.setdefault((each.call.resources, each.call.timeout), []).append(each)
        for group in groups.values():
            try:
                submitter = self._made_submitter(group[0].call)
                messages = [each.message for each in group]
                jobs = submitter.map_array(run_there, [self._around] * len(group), messages)
            except Exception as error:
                # SLURM says no, the folder is full, and the like: these calls have failed.
                reason = ExecutorError(f"executor {self.name!r} cannot submit a job: {error}")
                for each in group:
                    each.future.set_exception(reason)
                continue
            watched = []
            for job, each in zip(jobs, group, strict=True):
                note = self._note_of(each.call)
                if note is not None:
                    # Somebody may have removed the folder, or its disk is full. The job runs, and
                    # must be waited for; only a later process would not find it.
                    with suppress(OSError):
                        _write_note(note, job.job_id)
                watched.append(_Watched(job, each.future, note, False))
            self._watch(watched)

    def _parameters_of(self, call: Call | None) -> dict[str, Any]:
        """Return what a job is asked for, in submitit's words."""
        asked: dict[str, Any] = {"name": "taskgraph", "timeout_min": 24 * 60, **self._arguments}
        if isinstance(memory := asked.pop("memory", None), str):
            asked["mem_gb"] = read_size(memory) / _GIB
        if call is None:
            return asked
        wanted = call.resources
        asked["name"] = re.sub(r"[^\w.-]", "_", call.fullname)
        if wanted.cpus > 1:
            asked["cpus_per_task"] = -int(-wanted.cpus // 1)
        if wanted.gpus:
            asked["gpus_per_node"] = -int(-wanted.gpus // 1)
        if wanted.memory is not None:
            asked["mem_gb"] = max(0.01, round(wanted.memory / _GIB, 2))
        if call.timeout is not None:
            asked["timeout_min"] = max(1, -int(-(call.timeout + _SPARE) // 60))
        return asked

    # Jobs that were there already

    def _note_of(self, call: Call) -> Path | None:
        return None if call.key is None else self._folder / "notes" / call.key

    def _job_of(self, note: Path) -> submitit.Job[bytes] | None:
        """Return the job that an earlier process has submitted for a call, if it is of any use."""
        try:
            number = note.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        if not _NOTE.fullmatch(number):
            return None
        assert self._submitter is not None
        job: submitit.Job[bytes] = self._submitter.job_class(self._folder / "%j", number)
        if job.paths.result_pickle.exists() or self._is_alive(job):
            return job
        note.unlink(missing_ok=True)
        return None

    def _is_alive(self, job: submitit.Job[bytes]) -> bool:
        if not self._is_local:
            return not job.done(force_check=True)
        if getattr(job, "_process", None) is not None:
            return not job.done()
        # It was begun by another process, and bears the number of its own.
        try:
            os.kill(int(job.job_id), 0)
            words = Path(f"/proc/{job.job_id}/cmdline")
            return not words.parent.parent.exists() or b"submitit" in words.read_bytes()
        except (OSError, ValueError):
            return False

    def read(self, answer: Any, calls: Sequence[Call]) -> list[Outcome]:
        """Return what came of a call; nothing, so that it is sent anew, of a job found in vain.

        That one was lost, or what it gave holds no more: files of it were changed since.
        """
        message, is_found = answer
        if not is_found:
            return decode_outcomes(message, calls)
        try:
            outcomes = decode_outcomes(message, calls)
            first = outcomes[0]
            is_sound = not isinstance(first, Returned) or walk.find_invalid(first.value) is None
        except BaseException:
            # It was written by an earlier version, or cut off: whatever it is, it is of no use.
            return []
        return outcomes if is_sound else []

    # Waiting for them

    def _watch(self, jobs: Sequence[_Watched]) -> None:
        with self._lock:
            self._watched += jobs
            if self._watcher is None:
                name = f"taskgraph-{self.name}-jobs"
                self._watcher = threading.Thread(target=self._look, name=name, daemon=True)
                self._watcher.start()
        self._changed.set()

    def _look(self) -> None:
        """Look again and again which jobs have ended."""
        while True:
            with self._lock:
                watched = list(self._watched)
                if not watched:
                    self._watcher = None
                    return
            ended = [each for each in watched if self._has_ended(each)]
            with self._lock:
                self._watched = [each for each in self._watched if each not in ended]
            for each in ended:
                self._settle(each)
            self._changed.wait(_PAUSE if self._is_local else _CLUSTER_PAUSE)
            self._changed.clear()

    def _has_ended(self, watched: _Watched) -> bool:
        job = watched.job
        if job.paths.result_pickle.exists():
            return True
        return not self._is_alive(job) if self._is_local else job.done()

    def _settle(self, watched: _Watched) -> None:
        job, future = watched.job, watched.future
        error: BaseException | None = None
        try:
            if self._is_local and not job.paths.result_pickle.exists():
                raise UncompletedJobError(job.stderr() or "")  # nothing that would still come
            answer = job.result()
        except BaseException as raised:  # of submitit, or of what it read: the call has failed
            error = raised
        if watched.note is not None:
            watched.note.unlink(missing_ok=True)
        else:
            for each in (job.paths.result_pickle, job.paths.submitted_pickle):
                with suppress(OSError):  # the logs stay
                    each.unlink(missing_ok=True)
        if error is None or watched.is_found:
            message = b"" if error is not None else answer
            future.set_result((message, watched.is_found))  # type: ignore[arg-type]  # `read` knows
        elif isinstance(error, UncompletedJobError):
            future.set_exception(error)
        else:
            reason = f"executor {self.name!r}: job {job.job_id} failed: {error}"
            future.set_exception(ExecutorError(reason))

    def take_back(self, futures: Sequence[Future[Any]]) -> list[Future[Any]]:
        """Cancel jobs that wait in the queue of the cluster; returns whose."""
        if self._is_local:  # which has none
            return []
        found = []
        with self._lock:
            for each in [e for e in self._watched if e.future in futures]:
                if each.job.state == "PENDING":
                    self._end(each)
                    self._watched.remove(each)
                    found.append(each.future)
        return found

    def _end(self, watched: _Watched) -> None:
        with suppress(Exception):  # it has ended, or the cluster does not answer
            watched.job.cancel()
        if watched.note is not None:
            watched.note.unlink(missing_ok=True)

    def launch(self, command: Command) -> str:
        """Have a command run by a job."""
        self.open()
        call = Call(JobId(""), "taskgraph.launch", run_command, (), {}, resources=command.resources)
        job = self._made_submitter(call).submit(run_command, command)
        return f"job {job.job_id}"


def _write_note(note: Path, number: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    draft = note.with_suffix(f".{os.getpid()}")
    draft.write_text(number, encoding="ascii")
    draft.replace(note)
