"""What is stored of data is read again where only data is trusted, as what it was."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import ipaddress
import pathlib
import types
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.errors import RefusedValueError
from taskgraph.hashing import ValueHash, digest_bytes
from taskgraph.values import codec
from taskgraph.values.gate import Trust, use_trust
from taskgraph.values.registry import kind_of
from taskgraph.values.weigh import hash_value
from tests.hostile.victims import Colour, Point, Sample

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

DATA = Trust(True, ("tests.hostile.victims.*",))


@pytest.fixture(autouse=True, scope="module")
def _only_data() -> Iterator[None]:
    before = use_trust(DATA)
    yield
    use_trust(before)


def _again(value: Any) -> Any:
    format, payload = codec.encode(value)
    name = kind_of(value).type_name(value)
    return codec.decode(ValueHash("ab" * 16), name, format, payload, digest_bytes(payload))


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
    st.binary().map(bytearray),
    st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.ip_addresses(),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9)),
    st.builds(slice, st.none() | st.integers(), st.integers()),
    st.sampled_from([zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo("Europe/Berlin")]),
    st.text("abc/", min_size=1).map(pathlib.PurePosixPath),
    st.lists(st.floats(allow_nan=False)).map(lambda items: array.array("d", items)),
    st.builds(Point, st.integers(), st.integers()),
    st.builds(Sample, st.text(), st.lists(st.integers())),
    st.builds(Sample.Place, st.integers()),
    st.just(Colour.RED),
    st.sampled_from([ValueError("x"), FileNotFoundError(2, "no", "f"), ...]),
    st.integers(-(2**60), 2**60).map(np.int64),
    st.lists(st.integers(0, 99)).map(lambda items: np.array(items, ">i2")),
    st.lists(st.text("ab")).map(lambda items: np.array(items, object)),
    st.lists(st.floats(allow_nan=False), min_size=1).map(lambda items: pd.Series(items, name="s")),
    st.lists(st.integers(0, 9), min_size=1).map(lambda items: pl.DataFrame({"a": items})),
    st.lists(st.none() | st.text("xy")).map(lambda items: pa.array(items, pa.string())),
)
_HASHABLE = st.one_of(st.integers(), st.text(), st.tuples(st.integers(), st.text()), st.uuids())
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(_HASHABLE, inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4).map(collections.OrderedDict),
        st.dictionaries(st.text("ab"), inner, max_size=3).map(
            lambda found: collections.defaultdict(list, found)
        ),
        st.lists(inner, max_size=4).map(lambda items: collections.deque(items, 9)),
        st.dictionaries(st.text("abc", min_size=1), inner, max_size=3).map(
            lambda found: types.SimpleNamespace(**found)
        ),
        st.dictionaries(st.text(), inner, max_size=3).map(types.MappingProxyType),
        st.sets(_HASHABLE).map(lambda found: [found, frozenset(found)]),
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_data_is_read_as_what_it_was(value: Any) -> None:
    assert hash_value(_again(value)) == hash_value(value)


_TIMES = pd.to_datetime(["2020-01-01", "2021-02-03"])


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        [np.asfortranarray(np.ones((2, 3)))],
        [np.zeros(2, [("a", "i4"), ("b", "U5")])],
        [np.array([(1, "a")], [("a", "i4"), ("b", "O")])],
        [np.array(["2020"], "M8[ns]"), np.timedelta64(3, "us")],
        [np.ma.array([1, 2], mask=[0, 1])],
        [np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)])],
        [np.zeros((0, 3)), np.array(5), np.dtype([("a", "<i4")])],
        [
            pd.DataFrame(
                {
                    "number": [1, 2],
                    "text": ["x", None],
                    "time": _TIMES,
                    "zoned": _TIMES.tz_localize("Europe/Berlin"),
                    "span": pd.to_timedelta(["1s", "2s"]),
                    "category": pd.Categorical(["u", "v"], ordered=True),
                    "object": [1, "x"],
                    "masked": pd.array([1, None], dtype="Int64"),
                    "boolean": pd.array([True, None], dtype="boolean"),
                    "second": [0.5, 1.5],
                },
                index=["r", "s"],
            )
        ],
        pd.DataFrame({"a": [1, "x"], "b": [{}, []]}),
        [pd.DataFrame([[1, 2], [3, "x"]], columns=["a", "a"]), pd.DataFrame()],
        [pd.DataFrame({"x": _TIMES, "y": _TIMES})],
        [pd.Series(["a", "b"], dtype=object), pd.Series(dtype=float)],
        [pd.date_range("2020", periods=2, tz="UTC"), pd.timedelta_range("1s", periods=2)],
        [pd.period_range("2020", periods=2, freq="M"), pd.interval_range(0, 2)],
        [pd.CategoricalIndex(["a"]), pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])],
        [pd.Timestamp("2020", tz="UTC"), pd.Timedelta("1s"), pd.Period("2020-01"), pd.NaT, pd.NA],
        [pd.Interval(1, 2), pd.RangeIndex(3), pd.offsets.MonthEnd(2)],
        [pl.DataFrame({"a": [1], "b": ["x"]}), pl.Series("s", [[1], None])],
        [
            pa.table(
                {
                    "words": pa.array(["x", None]).dictionary_encode(),
                    "lists": [[1], [2, 3]],
                    "structs": [{"q": 1}, None],
                }
            ),
            pa.record_batch({"a": [1]}),
            pa.schema([("a", pa.timestamp("us", "UTC"))]),
            pa.scalar([1, 2]),
        ],
    ],
    ids=lambda value: type(value[0] if type(value) is list else value).__name__,
)
def test_arrays_and_frames_are_read_as_what_they_were(value: Any) -> None:
    assert hash_value(_again(value)) == hash_value(value)


@pytest.mark.parametrize(
    "value", [print, len, lambda: 1, Trust(), decimal.getcontext(), np.random.default_rng(1)]
)
def test_what_is_more_than_data_is_refused(value: Any) -> None:
    with pytest.raises(RefusedValueError, match="trusted with data only"):
        _again([value])


def test_a_fraction_and_a_counter_come_back() -> None:
    value = [fractions.Fraction(-1, 3), collections.Counter("abca"), uuid.UUID(int=5)]

    assert _again([*value, ipaddress.ip_network("10.0.0.0/8")]) == [
        *value,
        ipaddress.ip_network("10.0.0.0/8"),
    ]
