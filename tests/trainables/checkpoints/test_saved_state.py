"""What own code saves: read back as it was, or refused at that save with its place."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, defaultdict, namedtuple
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.checkpoints.checkpoints import Checkpoints
from trainables.checkpoints.saved_state import checked_state, with_arrays, without_arrays

Pair = namedtuple("Pair", "a b")


class Foo:
    pass


class OwnTensor(torch.Tensor):
    pass


def hung(value: Any) -> torch.Tensor:
    """A tensor with an attribute."""
    tensor = torch.zeros(1)
    tensor.note = value  # type: ignore[attr-defined]
    return tensor


def circle() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


def round_trip(folder: Path, state: Any) -> Any:
    """The state as it comes back from a file, read without any pickled object."""
    checkpoints = Checkpoints(str(folder), 0)
    checkpoints.save(1, {"state": without_arrays(checked_state(state))})
    read = checkpoints.load()
    assert read is not None, checkpoints.unreadable
    return with_arrays(read["state"])


@pytest.mark.parametrize(
    ("state", "back"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(-3), -3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.complex128(1 + 2j), 1 + 2j),
        (
            {np.int64(3): "three", "losses": [np.float64(1.0), 2.0]},
            {3: "three", "losses": [1.0, 2.0]},
        ),
        ([1, "a", None, 2.5, True, b"x", bytearray(b"y"), 1j], None),
        ({1: {(2, "b"): (3, [4])}, "empty": {}, None: []}, None),
        ({1, 2}, None),
        (Counter("aab"), None),
        (Counter({np.int64(3): np.int64(2), 4: 1}), Counter({3: 2, 4: 1})),
        (OrderedDict({np.int64(3): np.int64(2)}), OrderedDict({3: 2})),
        (torch.Size([2, 3]), None),
        ([torch.device("cpu"), torch.float16], None),
        (2**200, None),
        (random.Random(0).getstate(), None),
        (np.random.default_rng(0).bit_generator.state, None),
        ("", None),
    ],
)
def test_plain_values_come_back_and_numpys_numbers_as_pythons(
    state: Any, back: Any, tmp_path: Path
) -> None:
    expected = state if back is None else back
    read = round_trip(tmp_path, state)
    assert read == expected
    assert type(read) is type(expected)
    if isinstance(expected, dict):
        assert list(map(type, read)) == list(map(type, expected))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.int8)[::-2],
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.array(3.5),
        np.zeros((0, 2)),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.arange(3, dtype=">i4"),
        np.arange(3, dtype=np.uint16),
        np.arange(3, dtype=np.float16),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_come_back_as_arrays(array: np.ndarray[Any, Any], tmp_path: Path) -> None:
    array.flags.writeable = False
    read = round_trip(tmp_path, {"a": [array.copy(order="K")]})["a"][0]
    assert type(read) is np.ndarray
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.shape == array.shape
    assert (read == array).all()


def test_numpys_own_generator_goes_on_from_its_state(tmp_path: Path) -> None:
    generator = np.random.RandomState(5)
    read = round_trip(tmp_path, generator.get_state())
    drawn = generator.random(3)
    generator.set_state(read)
    assert (generator.random(3) == drawn).all()


@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_a_model_and_its_optimizer_come_back(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": torch.optim.lr_scheduler.StepLR(optimizer, 3).state_dict(),
        "parameter": model[0].weight,
        "sparse": torch.eye(3).to_sparse(),
        "random": torch.get_rng_state(),
    }
    assert checked_state(state) is state
    read = round_trip(tmp_path, state)
    model.load_state_dict(read["model"])
    optimizer.load_state_dict(read["optimizer"])
    assert type(read["model"]) is OrderedDict
    assert read["model"]._metadata == state["model"]._metadata  # type: ignore[attr-defined]
    assert torch.equal(read["parameter"], state["parameter"])


@pytest.mark.parametrize(
    ("state", "received"),
    [
        ({"optimizer": {"state": {0: Foo()}}}, "optimizer.state.0: a Foo"),
        ({"a": [1, (2, Foo())]}, "a.1.1: a Foo"),
        (Foo(), "the state itself: a Foo"),
        ({"model": torch.nn.Linear(1, 1)}, "model: a Linear"),
        ({"f": len}, "f: a builtin_function_or_method"),
        ({"p": Pair(1, 2)}, "p: a Pair"),
        ({"d": defaultdict(int)}, "d: a defaultdict"),
        ({"q": Fraction(1, 2)}, "q: a Fraction"),
        ({"path": Path("a")}, "path: a PosixPath"),
        ({"r": range(3)}, "r: a range"),
        ({"s": frozenset({1})}, "s: a frozenset"),
        ({"t": torch.zeros(1).as_subclass(OwnTensor)}, "t: an OwnTensor"),
        ({"t": hung(Foo())}, "t.note: a Foo"),
        (
            {"loss": torch.ones(1, requires_grad=True) * 2},
            "loss: a tensor with a graph; save its .detach()",
        ),
        ({"o": np.array([Foo()])}, "o: an array of object"),
        ({"o": np.array(["a"])}, "o: an array of <U1"),
        ({"o": np.array(["2020-01-01"], dtype="M8[D]")}, "o: an array of datetime64[D]"),
        ({"o": np.longdouble(1)}, "o: a longdouble"),
        ({"o": np.zeros(1, np.longdouble)}, "o: an array of longdouble"),
        ({"o": np.datetime64("2020-01-01")}, "o: a datetime64"),
        ({"m": np.ma.masked_array([1.0])}, "m: a MaskedArray"),
        ({"k": {Foo: 1}}, "k: the key <class"),
        (circle(), "in at most 100 levels; this one may hold itself"),
    ],
)
def test_anything_else_is_told_with_its_place(state: Any, received: str) -> None:
    with pytest.raises(TypeError, match=r"context\.save takes tensors, NumPy arrays") as caught:
        checked_state(state)
    told = str(caught.value).replace("float128", "longdouble")
    assert received in told


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_which_is_not_read_back_is_told() -> None:
    with pytest.raises(TypeError, match="got t: a Tensor"):
        checked_state({"t": torch.nested.nested_tensor([torch.ones(2)])})
