"""Parcels: what is on their outside is read without unpickling what is inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import ExecutorError
from taskgraph.executors.parcels import Parcel, read_parcel


@given(
    st.binary(), st.integers(0, 2**32 - 1), st.binary(), st.none() | st.floats(0, exclude_min=True)
)
def test_a_parcel_is_read_as_it_was_made(
    around: bytes, slots: int, message: bytes, timeout: float | None
) -> None:
    parcel = Parcel(around, slots, message, timeout)

    assert read_parcel(parcel.encode()) == parcel


@pytest.mark.parametrize("kept", [b"", b"123456789012345"])
def test_what_is_cut_off_is_refused(kept: bytes) -> None:
    with pytest.raises(ExecutorError, match="cut off"):
        read_parcel(kept)
