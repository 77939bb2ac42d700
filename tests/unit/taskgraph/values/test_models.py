"""Sparse matrices, estimators, and classes made by pydantic and attrs, where they have corners."""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import pydantic
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value

DENSE = np.array([[0, 1, 2], [0, 0, 3.0]])


def test_a_look_at_a_sparse_matrix_does_not_change_its_hash() -> None:
    data, indices, starts = np.array([2.0, 0.5, 0.5, 3.0]), [2, 1, 1, 2], [0, 3, 4]
    matrix = sparse.csr_array((data, indices, starts), shape=(2, 3))
    before = hash_value(matrix)

    matrix.max()

    assert matrix.nnz == 3
    assert hash_value(matrix) == before == hash_value(sparse.csr_array(DENSE))


def test_zeros_that_are_stored_count() -> None:
    stored = sparse.csr_array(([0.0], ([0], [0])), shape=(1, 1))

    assert hash_value(stored) != hash_value(sparse.csr_array((1, 1)))


def test_what_lies_beside_the_diagonals_does_not_count() -> None:
    one = sparse.dia_array((np.array([[1.0, 2, 3], [4, 5, 6]]), [0, 1]), shape=(3, 3))
    two = sparse.dia_array((np.array([[9.0, 5, 6], [1, 2, 3]]), [1, 0]), shape=(3, 3))

    assert hash_value(one) == hash_value(two)


def test_the_width_of_indices_does_not_count_and_that_of_blocks_does() -> None:
    narrow, wide = sparse.csr_array(DENSE), sparse.csr_array(DENSE)
    wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
    blocks = [sparse.bsr_array(DENSE, blocksize=size) for size in ((1, 1), (2, 3))]

    assert hash_value(narrow) == hash_value(wide)
    assert hash_value(blocks[0]) != hash_value(blocks[1])


def test_arrays_of_one_and_three_dimensions_count() -> None:
    line = sparse.coo_array(np.array([0.0, 1.0]))

    assert hash_value(line) == hash_value(sparse.coo_array(([1.0], ([1],)), shape=(2,)))
    assert hash_value(line) != hash_value(sparse.coo_array(np.array([1.0, 0.0])))


class Scaled(LinearRegression):
    pass


class Forgetful(BaseEstimator):
    def __init__(self, a: int = 1) -> None:
        self.a = a
        self.calls = 0

    def __getstate__(self) -> Any:
        return {"a": self.a}


def test_estimators_count_by_class_parameters_and_what_was_fitted() -> None:
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    values = [
        LinearRegression(),
        LinearRegression(fit_intercept=False),
        Scaled(),
        fitted,
        LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]),
    ]

    assert len({hash_value(each) for each in values}) == len(values)
    assert hash_value(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])) == hash_value(fitted)


def test_forests_that_grew_alike_have_one_hash() -> None:
    inputs = np.random.RandomState(0).rand(30, 3)
    forests = [
        RandomForestClassifier(3, random_state=seed).fit(inputs, inputs[:, 0] > 0.5)
        for seed in (0, 0, 1)
    ]
    hashes = [hash_value(each) for each in forests]

    assert hashes[0] == hashes[1] != hashes[2]


def test_the_version_that_fitted_an_estimator_does_not_count(monkeypatch: Any) -> None:
    before = hash_value([LinearRegression(), Forgetful()])

    monkeypatch.setattr("sklearn.base.__version__", "0.1")

    assert hash_value([LinearRegression(), Forgetful()]) == before


def test_what_an_estimator_leaves_out_of_its_state_does_not_count() -> None:
    used = Forgetful()
    used.calls = 3

    assert hash_value(used) == hash_value(Forgetful())
    assert hash_value(used) != hash_value(Forgetful(2))


class Item(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str = "a"
    inner: Item | None = None
    _secret: int = pydantic.PrivateAttr(default=1)

    @functools.cached_property
    def derived(self) -> str:
        return self.name


def test_models_of_pydantic_count_by_what_they_hold() -> None:
    private = Item()
    private._secret = 2
    values = [
        Item(),
        Item(name="a"),
        Item(name="b"),
        Item(inner=Item()),
        Item(more=1),
        Item(more=2),
        private,
    ]
    before = hash_value(values[0])

    assert values[0].derived == "a"

    assert hash_value(values[0]) == before
    assert len({hash_value(each) for each in values}) == len(values)


def test_a_model_in_a_cycle_has_a_hash() -> None:
    one, two = Item(), Item()
    one.inner, two.inner = one, Item.model_construct(name="a")
    two.inner.inner = two

    assert len(hash_value(one)) == 32


@attrs.define
class Slots:
    a: int
    b: int = 1

    @functools.cached_property
    def derived(self) -> int:
        return self.a


@attrs.define(slots=False, unsafe_hash=True, cache_hash=True)
class Loose:
    a: int
    b: int = 1

    @functools.cached_property
    def derived(self) -> int:
        return self.a


@attrs.define
class OwnState:
    a: int

    def __getstate__(self) -> Any:
        return {"a": 0}

    def __setstate__(self, state: Any) -> None:
        self.a = state["a"]


@pytest.mark.parametrize("cls", [Slots, Loose])
def test_classes_of_attrs_count_by_fields_and_not_by_what_is_derived(cls: Any) -> None:
    value = cls(1)
    before = hash_value(value)

    assert value.derived == 1
    if cls is Loose:
        hash(value)

    assert hash_value(value) == before
    assert len({before, hash_value(cls(2)), hash_value(cls(1, 2))}) == 3


def test_attributes_besides_the_fields_count_where_they_are_kept() -> None:
    value = Loose(1)
    value.more = 1

    assert hash_value(value) != hash_value(Loose(1))


def test_a_class_of_attrs_may_say_itself_what_its_state_is() -> None:
    assert hash_value(OwnState(1)) == hash_value(OwnState(2))


def test_previews_of_sparse_matrices_show_no_content() -> None:
    assert preview(sparse.csr_array(DENSE)) == "csr_array(2x3, float64, 3 stored)"
