"""Recipes for values of libraries: data frames, Arrow, sparse matrices, models, tensors.

A recipe is plain data, and two recipes that differ are of two values that differ. ``build`` makes
the same value in two ways that must not show in its hash: the second cuts into chunks, slices
larger arrays, lays blocks out differently, hides other things under nulls and stores out of order.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
from typing import Any

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
from scipy import sparse
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: Any = 1
    b: Any = None
    _kept: Any = pydantic.PrivateAttr(default=None)


class OtherModel(Model):
    pass


@attrs.define
class Defined:
    a: Any
    b: Any = None


@attrs.define(slots=False)
class Loose:
    a: Any
    b: Any = None


# Five contents for each type, from which columns are made by number.
DAYS = [datetime.date(2020, 1, day) for day in (1, 2, 3, 4, 5)]
MOMENTS = [datetime.datetime(2020, 1, 1, hour) for hour in (0, 1, 2, 3, 4)]
TEXTS = ["", "a", "é", "ab", "a\0"]
CONTENTS: dict[str, list[Any]] = {
    "int8": [0, 1, -1, 2, 127],
    "int64": [0, 1, -1, 2, 2**62],
    "float64": [0.0, -0.0, 1.0, float("nan"), float("inf")],
    "float32": [0.0, -0.0, 1.0, float("nan"), float("inf")],
    "bool": [False, True, False, True, True],
    "text": TEXTS,
    "bytes": [each.encode() for each in TEXTS],
    "category": TEXTS,
    "moment": MOMENTS,
    "date": DAYS,
    "span": [datetime.timedelta(hours=hours) for hours in range(5)],
    "decimal": [decimal.Decimal(each) for each in ("0.00", "1.00", "-1.00", "1.50", "9.99")],
    "list": [[], [1], [1, 2], [None], [2]],
    "struct": [
        {"a": 1, "b": "x"},
        {"a": None, "b": "x"},
        {"a": 1, "b": ""},
        {"a": 2, "b": None},
        {"a": None, "b": None},
    ],
}
ARROW_TYPES = {
    "int8": pa.int8(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "text": pa.string(),
    "large text": pa.large_string(),
    "text view": pa.string_view(),
    "bytes": pa.binary(),
    "category": pa.dictionary(pa.int8(), pa.string()),
    "moment": pa.timestamp("us", "UTC"),
    "local moment": pa.timestamp("us"),
    "date": pa.date32(),
    "span": pa.duration("us"),
    "decimal": pa.decimal128(5, 2),
    "list": pa.list_(pa.int64()),
    "large list": pa.large_list(pa.int64()),
    "struct": pa.struct([("a", pa.int64()), ("b", pa.string())]),
}
POLARS_TYPES = {
    "int8": pl.Int8,
    "int64": pl.Int64,
    "float64": pl.Float64,
    "float32": pl.Float32,
    "bool": pl.Boolean,
    "text": pl.String,
    "bytes": pl.Binary,
    "category": pl.Categorical,
    "enum": pl.Enum(TEXTS),
    "moment": pl.Datetime("us", "UTC"),
    "local moment": pl.Datetime("us"),
    "date": pl.Date,
    "span": pl.Duration("us"),
    "decimal": pl.Decimal(5, 2),
    "list": pl.List(pl.Int64),
    "pair": pl.Array(pl.Int64, 2),
    "struct": pl.Struct({"a": pl.Int64, "b": pl.String}),
}
PANDAS_TYPES: dict[str, Any] = {
    "int8": "int8",
    "int64": "int64",
    "float64": "float64",
    "float32": "float32",
    "bool": "bool",
    "text": "str",
    "nullable text": "string",
    "text as objects": object,
    "category": pd.CategoricalDtype(TEXTS),
    "ordered category": pd.CategoricalDtype(TEXTS, ordered=True),
    "local moment": "datetime64[us]",
    "moment": "datetime64[us, UTC]",
    "span": "timedelta64[us]",
    "nullable int64": "Int64",
    "nullable bool": "boolean",
    "nullable float64": "Float64",
    "arrow int64": pd.ArrowDtype(pa.int64()),
    "period": "period[D]",
    "sparse int64": pd.SparseDtype("int64", 0),
}
# Those of numpy's own dtypes have no missing values of another kind than their contents.
NO_NULLS = {"int8", "int64", "float64", "float32", "bool", "sparse int64"}


def items_of(column: Any) -> list[Any]:
    """Return the items of a column: (type, numbers of contents or None)."""
    name, numbers = column
    base = name.split()[-1]
    if name in ("text as objects", "nullable text", "large text", "text view"):
        base = "text"
    if name == "enum":
        base = "category"
    if name == "pair":
        return [None if each is None else [each, -each] for each in numbers]
    if base == "period":
        return [None if n is None else pd.Period(DAYS[n], "D") for n in numbers]
    return [None if each is None else CONTENTS[base][each] for each in numbers]


def canonical(recipe: Any) -> Any:
    """Return a recipe so that it is equal to another one exactly if their values are the same."""
    if isinstance(recipe, tuple) and len(recipe) == 2 and recipe[0] in _TWO_BOOLS:
        return (recipe[0], tuple(None if n is None else n in (1, 3, 4) for n in recipe[1]))
    if isinstance(recipe, tuple) and recipe[:1] == ("torch",):
        _, name, dims, numbers = recipe
        return (name, dims, tuple(numbers[i % len(numbers)] for i in range(int(np.prod(dims)))))
    if isinstance(recipe, list | tuple):
        return tuple(canonical(each) for each in recipe)
    return recipe


_TWO_BOOLS = ("bool", "nullable bool")


def build(recipe: Any, *, other: bool = False) -> Any:
    tag, *content = recipe
    return globals()[f"build_{tag}"](*content, other)


def arrow_array(column: Any, other: bool) -> Any:
    type_ = ARROW_TYPES[column[0]]
    items = items_of(column)
    if not other:
        return pa.array(items, type_)
    if pa.types.is_dictionary(type_):
        # Another dictionary, with entries that nothing uses.
        texts = [*TEXTS[::-1], "unused"]
        codes = [None if each is None else texts.index(each) for each in items]
        made = pa.DictionaryArray.from_arrays(pa.array([0, *codes, 1], pa.int8()), pa.array(texts))
        return made.slice(1, len(items))
    full = pa.array([items_of((column[0], [1]))[0] if e is None else e for e in items], type_)
    if full.buffers()[0] is None and "view" not in column[0] and len(items):
        # What lies under a null is the same as what lies beside it.
        valid = pa.array([each is not None for each in items]).buffers()[1]
        children = [full.values] if "list" in column[0] else []
        if pa.types.is_struct(type_):
            children = [full.field(0), full.field(1)]
        own = [valid, *full.buffers()[1 : type_.num_buffers]]
        made = pa.Array.from_buffers(type_, len(items), own, children=children)
        assert "float" in column[0] or made.equals(pa.array(items, type_))
        return made
    wide = pa.array([None, *items, None], type_)
    return wide.slice(1, len(items))


def arrow_chunks(column: Any, other: bool) -> Any:
    array = arrow_array(column, other)
    cuts = [0, 1, 1, len(array)] if other and len(array) else [0, len(array)]
    chunks = [array[a:b] for a, b in itertools.pairwise(cuts)]
    return pa.chunked_array(chunks, ARROW_TYPES[column[0]])


def build_arrow_array(column: Any, other: bool) -> Any:
    return arrow_array(column, other)


def build_arrow_chunks(column: Any, other: bool) -> Any:
    return arrow_chunks(column, other)


def build_arrow_scalar(column: Any, other: bool) -> Any:
    return arrow_array((column[0], column[1][:1]), other)[0]


def build_arrow_type(name: str, other: bool) -> Any:
    return pa.field("x", ARROW_TYPES[name]).type if other else ARROW_TYPES[name]


def build_arrow_table(columns: Any, names: Any, other: bool) -> Any:
    return pa.Table.from_arrays([arrow_chunks(each, other) for each in columns], list(names))


def build_arrow_batch(columns: Any, names: Any, other: bool) -> Any:
    return pa.RecordBatch.from_arrays([arrow_array(each, other) for each in columns], list(names))


def build_polars_series(column: Any, name: str, other: bool) -> Any:
    dtype = POLARS_TYPES[column[0]]
    items = items_of(column)
    if column[0] == "moment":
        items = [each and each.replace(tzinfo=datetime.timezone.utc) for each in items]  # noqa: UP017
    if not other:
        return pl.Series(name, items, dtype, strict=False)
    parts = [pl.Series(name, [None, each, None], dtype, strict=False)[1:2] for each in items]
    return pl.concat(parts, rechunk=False) if parts else pl.Series(name, [], dtype)


def build_polars_frame(columns: Any, names: Any, other: bool) -> Any:
    made = [build_polars_series(c, n, other) for c, n in zip(columns, names, strict=True)]
    return pl.DataFrame(made)


def build_pandas_series(column: Any, name: Any, index: Any, other: bool) -> Any:
    dtype = PANDAS_TYPES[column[0]]
    items = items_of(column)
    if not other:
        return pd.Series(items, build_pandas_index(index, other), dtype, name)
    filler = items[:1] or items_of((column[0], [1]))
    wide = pd.Series([x for each in items for x in (each, filler[0])], dtype=dtype, name=name)
    made = wide.iloc[::2]
    made.index = build_pandas_index(index, other)
    return made


def build_pandas_index(index: Any, other: bool) -> Any:
    kind, name, size = index
    match kind:
        case "range":
            return pd.RangeIndex(size, name=name)
        case "numbers":
            made = pd.Index(np.arange(2 * size, dtype="i8"), name=name)
            return made[:size] if other else pd.Index(np.arange(size, dtype="i8"), name=name)
        case "texts":
            return pd.Index([str(each) for each in range(size)], dtype="str", name=name)
        case "moments":
            made = pd.DatetimeIndex(np.arange(size).astype("M8[s]"), name=name)
            return pd.DatetimeIndex(made.to_numpy().copy(), name=name) if other else made
    pairs = [(each // 2, str(each)) for each in range(size)]
    if not other:
        return pd.MultiIndex.from_arrays(
            [np.array([a for a, _ in pairs], "i8"), pd.Index([b for _, b in pairs], dtype="str")],
            names=[name, "second"],
        )
    # Other codes, and levels of which not all are used.
    levels = [
        pd.Index(np.arange(size + 1, dtype="i8")[::-1]),
        pd.Index([str(each) for each in range(size + 1)][::-1], dtype="str"),
    ]
    codes = [[size - a for a, _ in pairs], [size - int(b) for _, b in pairs]]
    return pd.MultiIndex(levels, codes, names=[name, "second"])


def build_pandas_frame(columns: Any, names: Any, index: Any, attributes: Any, other: bool) -> Any:
    series = [build_pandas_series(each, None, index, other) for each in columns]
    labels = pd.Index(list(names), dtype="str")
    if not other:
        made = pd.DataFrame(dict(enumerate(series)), index=build_pandas_index(index, other))
    else:
        # One block after the other, of a frame that was put together from its end.
        made = pd.DataFrame(index=build_pandas_index(index, other))
        for position in reversed(range(len(series))):
            made.insert(0, position, series[position])
        made = made.copy()
    made.columns = labels
    made.attrs.update(attributes)
    return made


def build_pandas_scalar(name: str, number: int, other: bool) -> Any:
    zone = datetime.timezone.utc  # noqa: UP017
    made = {
        "moment": lambda: pd.Timestamp(MOMENTS[number]),
        "zoned": lambda: pd.Timestamp(MOMENTS[number], tz=zone),
        "coarse": lambda: pd.Timestamp(MOMENTS[number]).as_unit("s"),
        "span": lambda: pd.Timedelta(hours=number),
        "period": lambda: pd.Period(MOMENTS[number], "h"),
        "interval": lambda: pd.Interval(number, number + 1),
        "offset": lambda: pd.offsets.Day(number + 1),
        "months": lambda: pd.offsets.DateOffset(months=number + 1),
    }
    return made[name]()


def build_sparse(format: str, flavour: str, stored: Any, other: bool) -> Any:
    cls = getattr(sparse, f"{format}_{flavour}")
    places = sorted(stored)
    rows, columns, numbers = (
        [place[0] for place in places],
        [place[1] for place in places],
        [float(place[2]) for place in places],
    )
    if other and format in ("coo", "csr", "csc"):
        # Out of order, and one item in two parts.
        rows, columns, numbers = rows[::-1] + rows[:1], columns[::-1] + columns[:1], numbers[::-1]
        numbers = [*numbers, 0.0][: len(rows)]
    data = (np.array(numbers), (np.array(rows, int), np.array(columns, int)))
    made = sparse.coo_array(data, shape=(3, 4)) if flavour == "array" else None
    if made is None:
        made = sparse.coo_matrix(data, shape=(3, 4))
    return cls(made)


def build_model(name: str, a: Any, b: Any, other: bool) -> Any:
    match name:
        case "pydantic":
            made = Model(a=a, b=b, more=1)
            return Model.model_validate(made.model_dump()) if other else made
        case "other pydantic":
            return OtherModel(a=a, b=b, more=1)
        case "unset":
            return Model(a=a) if b is None else Model(a=a, more=b)
        case "slots":
            return Defined(a, b)
        case "loose":
            made = Loose(a)
            made.b = b
            return made
    names = ["copy_X", "fit_intercept"][:: -1 if other else 1]
    options = {each: bool(a) for each in names}
    estimator = LinearRegression(**options)
    if name == "fitted":
        # As fit() would set them, but with the same digits whatever does the sums.
        found = np.array([[1.0, 2.0], [3.0, float(b or 0)]])
        estimator.coef_ = np.asfortranarray(found) if other else found
        estimator.n_features_in_ = 2
    return make_pipeline(StandardScaler(), estimator) if name == "pipeline" else estimator


def build_torch(name: str, dims: Any, numbers: Any, other: bool) -> Any:
    import torch

    dtype = getattr(torch, name)
    total = int(np.prod(dims))
    flat = torch.tensor([numbers[i % len(numbers)] for i in range(total)], dtype=dtype)
    made = flat.reshape(dims)
    if other and made.ndim:
        made = torch.stack([made, made], dim=-1)[..., 0]
    return made


def build_module(width: int, seed: int, is_training: bool, other: bool) -> Any:
    import torch

    torch.manual_seed(seed)
    made = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width))
    made.train(is_training)
    if other:
        copied = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width))
        copied.load_state_dict(made.state_dict())
        return copied.train(is_training)
    return made
