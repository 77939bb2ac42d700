"""Tensors and modules of torch; where torch is not installed there is nothing to be tested."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

from taskgraph.errors import UnhashableValueError  # noqa: E402
from taskgraph.values import codec  # noqa: E402
from taskgraph.values.preview import preview  # noqa: E402
from taskgraph.values.weigh import hash_value  # noqa: E402

pytestmark = pytest.mark.torch


def make_module(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.BatchNorm1d(2))


def test_strides_do_not_count_and_dtype_shape_and_content_do() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    values = [
        tensor,
        tensor.reshape(3, 2),
        tensor.double(),
        tensor.bfloat16(),
        tensor + 1,
        tensor.clone().requires_grad_(),
        torch.nn.Parameter(tensor),
        tensor.to_sparse(),
        tensor.to(torch.complex64),
        tensor.to(torch.complex64) * 1j,
        tensor.numpy(),
        torch.float32,
        torch.strided,
        tensor.shape,
    ]

    assert hash_value(tensor.t().contiguous().t()) == hash_value(tensor)
    assert hash_value(torch.stack([tensor, tensor], -1)[..., 0]) == hash_value(tensor)
    assert len({hash_value(each) for each in values}) == len(values)


def test_conjugates_that_are_only_noted_count() -> None:
    tensor = torch.tensor([1 + 1j, 2 - 1j])

    assert hash_value(tensor.conj()) == hash_value(tensor.conj().resolve_conj())
    assert hash_value(tensor.conj()) != hash_value(tensor)


def test_the_order_in_which_a_sparse_tensor_was_made_does_not_count() -> None:
    one = torch.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (2,), check_invariants=True)
    two = torch.sparse_coo_tensor([[1, 0, 0]], [2.0, 0.5, 0.5], (2,), check_invariants=True)

    assert hash_value(one) == hash_value(two)


def test_tensors_without_content_are_refused() -> None:
    with pytest.raises(UnhashableValueError, match="no content"):
        hash_value(torch.zeros(2, device="meta"))


def test_modules_count_by_class_parameters_buffers_and_mode() -> None:
    hooked = make_module()
    hooked.register_forward_hook(print)
    values = [make_module(), make_module(1), make_module().eval(), make_module()[0], hooked]

    assert hash_value(make_module()) == hash_value(values[0])
    assert hash_value(copy.deepcopy(values[0])) == hash_value(values[0])
    assert len({hash_value(each) for each in values}) == len(values)


def test_the_numbers_of_hooks_do_not_count() -> None:
    hashes = set()
    for _ in range(2):
        module = make_module()
        module.register_forward_hook(len)
        hashes.add(hash_value(module))

    assert len(hashes) == 1


@pytest.mark.parametrize("make", [lambda: torch.arange(3), make_module, lambda: torch.tensor(1.0)])
def test_what_was_stored_comes_back(make: Any) -> None:
    value = make()

    assert hash_value(codec.loads(codec.encode(value)[1])) == hash_value(value)


def test_previews_show_no_content() -> None:
    assert preview(torch.zeros(2, 3)) == "Tensor(torch.float32, shape=(2, 3), device=cpu)"
    assert preview(make_module()) == "Sequential(12 parameters)"
