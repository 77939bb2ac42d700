"""Whether a group is to run: the rules, and nothing else.

It is pure: it is given what is known of the newest execution of a group, and says what becomes of
the group and why. Whether what would run is computed anew is another question, which the cache
answers call by call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from taskgraph.catalog.states import ACTIVE, StateType


class Reason(StrEnum):
    """Why a group is to run, or is not."""

    NEVER_RUN = "never_run"
    INPUTS_CHANGED = "inputs_changed"
    IN_PROGRESS = "in_progress"
    DIRTY = "dirty"
    RETRY_FAILED = "retry_failed"
    UP_TO_DATE = "up_to_date"
    FAILED_NOT_DIRTY = "failed_not_dirty"


@dataclass(frozen=True, slots=True)
class Newest:
    """What counts of the newest execution of a group, by time of creation and then by id.

    Attributes:
        state: The type of the state that it is in.
        dataset_hash: What it was run on.
        silence: For how long it was not heard of.
    """

    state: StateType
    dataset_hash: str | None
    silence: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a group.

    Attributes:
        run: Whether it is to run.
        reason: Why, or why not.
        is_crashed: Whether its newest execution is to be marked CRASHED, because of its silence.
    """

    run: bool
    reason: Reason
    is_crashed: bool = False


def decide(
    newest: Newest | None,
    dataset_hash: str,
    *,
    is_dirty: bool,
    rerun_failed: bool = False,
    stale_after: timedelta | None = None,
) -> Verdict:
    """Say whether a group is to run: the first rule that fits counts.

        never run                              run: never_run
        the newest was of other inputs         run: inputs_changed, even while that one runs
        it is in progress                      skip: in_progress, even if the group is dirty;
                                               after too long a silence it has crashed, and:
        the group is dirty                     run: dirty
        it failed, and failed ones run again   run: retry_failed
        anything else                          skip: up_to_date, or failed_not_dirty

    Args:
        newest: The newest execution, if there is any.
        dataset_hash: What the group would be run on now.
        is_dirty: Whether somebody asked for it to run again.
        rerun_failed: Whether those run again whose newest execution did not end well.
        stale_after: After what silence an execution is taken for crashed; by default never.
    """
    if newest is None:
        return Verdict(True, Reason.NEVER_RUN)
    if newest.dataset_hash != dataset_hash:
        return Verdict(True, Reason.INPUTS_CHANGED)
    is_active = newest.state in ACTIVE
    is_stale = is_active and stale_after is not None and newest.silence > stale_after
    if is_active and not is_stale:
        return Verdict(False, Reason.IN_PROGRESS)
    if is_dirty:
        return Verdict(True, Reason.DIRTY, is_stale)
    if newest.state is StateType.COMPLETED:
        return Verdict(False, Reason.UP_TO_DATE)
    reason = Reason.RETRY_FAILED if rerun_failed else Reason.FAILED_NOT_DIRTY
    return Verdict(rerun_failed, reason, is_stale)


__all__ = ["Newest", "Reason", "Verdict", "decide"]
