"""What supervisor and slot tell each other comes through a pipe as it was said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.serving.orders import Report, SlotOrder

_texts = st.text(max_size=20)
_orders = st.builds(
    SlotOrder,
    config_dir=_texts,
    worker_id=_texts,
    worker=_texts,
    pool_id=st.none() | _texts,
    queues=st.lists(_texts, max_size=3).map(tuple),
    poll=st.floats(0.01, 100),
    is_burst=st.booleans(),
    quota=st.none() | st.integers(1, 9),
    modules=st.lists(_texts, max_size=2).map(tuple),
    scripts=st.lists(_texts, max_size=2).map(tuple),
    overrides=st.dictionaries(_texts, _texts, max_size=2),
)


@given(_orders)
def test_an_order_is_one_line_and_comes_back(order: SlotOrder) -> None:
    line = order.to_line()
    assert line.count(b"\n") == 1
    assert SlotOrder.parse(line) == order


@given(st.builds(Report, _texts, _texts, _texts, _texts, st.floats(0, 1e6)))
def test_a_report_is_one_line_and_comes_back(report: Report) -> None:
    line = report.to_line()
    assert line.count(b"\n") == 1
    assert Report.parse(line) == report
