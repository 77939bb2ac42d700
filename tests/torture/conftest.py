"""What a test of torture leaves running is ended with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.torture.starting import end_all


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    end_all()
