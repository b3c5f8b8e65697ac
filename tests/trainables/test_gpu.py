"""Checks that need a GPU: ``pytest -m gpu``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from spaces.settings.train import Train
from tests.support.lanes import (
    KINDS,
    Configs,
    alone,
    check_reports,
    check_states,
    in_bfloat16,
    lane_config,
    shoal_of,
)
from tests.support.tiny_training import CPU, MODELS, tiny_config, tiny_data
from trainables.data.splits import to_device
from trainables.fitting.batches import Batches
from trainables.models.noise import Noise
from trainables.shoal import repeated
from trainables.shoal.pool import Member, Pool, ShoalError
from trainables.training import Training

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]
GPU = torch.device("cuda")


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """PyTorch may take 256 MiB more than it has, of which cuBLAS wants some."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(GPU).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**28) / whole)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("model", MODELS)
def test_training_on_a_gpu_starts_from_the_same_weights_and_learns(model: str) -> None:
    config = tiny_config(model=MODELS[model])
    cpu, gpu = (Training(config, tiny_data(), device) for device in (CPU, GPU))
    for name, weight in cpu.weights().items():
        assert torch.equal(weight, gpu.weights()[name])
    losses = [report.metrics["train_loss"] for report in gpu]
    assert losses[-1] < losses[0]


SETTINGS: dict[str, dict[str, Any]] = {
    "augmentation": {"crop": 1, "flip": True, "cutout": 2, "mixup": 0.4},
    "loss": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "accumulate": {"accumulate": 2},
    "bfloat16": {"precision": "bfloat16"},
    "compile": {"compile": True},
    "compiled bfloat16": {"compile": True, "precision": "bfloat16"},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("model", MODELS)
def test_each_setting_trains_on_a_gpu_and_again_to_the_same_losses(
    model: str, setting: str
) -> None:
    train = {"batch_size": 8, "lr": 0.02, **SETTINGS[setting]}
    config = tiny_config(model=MODELS[model], train=train)
    first, again = (
        [report.metrics["train_loss"] for report in Training(config, tiny_data(), GPU)]
        for _ in range(2)
    )
    assert first == pytest.approx(again, rel=1e-3)
    assert first[-1] < 1.5


@pytest.mark.parametrize("model", ["mlp", "dropconnect"])
def test_a_training_on_a_gpu_that_goes_on_ends_with_the_same_weights(model: str) -> None:
    """Those of a convnet may differ in rounding: cuDNN adds up in any order."""
    config = tiny_config(model=MODELS[model])
    whole, _ = alone(config, 4, device=GPU)
    begun, _ = alone(config, 2, device=GPU)
    resumed = Training(config, tiny_data(), GPU)
    resumed.load_state_dict(begun.state_dict())
    assert [report.epoch for report in resumed] == [3, 4]
    check_states(resumed.weights(), whole.weights(), 0.0)


@pytest.mark.parametrize("step", [0, 1, 1000])
def test_a_gpu_draws_the_dropout_masks_of_a_cpu(step: int) -> None:
    rate, noise = torch.tensor(0.3, dtype=torch.float64), Noise(seed=7)
    noise.step = step
    cpu, gpu = (noise.keep_mask(torch.Size((64, 1000)), each, rate, 2) for each in (CPU, GPU))
    assert gpu.device.type == "cuda"
    assert torch.equal(cpu, gpu.cpu())


def test_a_gpu_changes_samples_as_a_cpu_does() -> None:
    settings = Train.model_validate({"batch_size": 8, **SETTINGS["augmentation"]})
    data, rows = tiny_data(), torch.arange(8)
    cpu, gpu = (
        Batches(to_device(data.train, data, each), settings, 7).prepare(rows.to(each), 300)
        for each in (CPU, GPU)
    )
    assert gpu.inputs.device.type == "cuda"
    torch.testing.assert_close(gpu.inputs.cpu(), cpu.inputs)
    assert torch.equal(gpu.dominant.cpu(), cpu.dominant)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_lane_on_a_gpu_is_trained_as_it_would_be_by_itself(optimizer: str) -> None:
    configs = {lane: lane_config(lane, optimizer) for lane in range(24)}
    shoal = shoal_of(configs, device=GPU)
    epochs = [shoal.train_epoch() for _ in range(2)]
    for lane, config in configs.items():
        training, reports = alone(config, 2, device=GPU)
        check_reports([epoch[lane] for epoch in epochs], reports, 1e-8)
        # single weights have no gradient but rounding, which adaptive optimizers make a step of
        check_states(shoal.weights(lane), training.weights(), 1e-5)


def test_in_float32_a_lane_on_a_gpu_is_trained_as_it_would_be_by_itself() -> None:
    configs = {lane: lane_config(lane) for lane in range(24)}
    epoch = shoal_of(configs, device=GPU).train_epoch()
    for lane, config in configs.items():
        expected = alone(config, 1, device=GPU)[1][0].metrics["train_loss"]
        assert epoch[lane].metrics["train_loss"] == pytest.approx(expected, rel=1e-4), lane


@pytest.mark.parametrize("family", ["mlp", "convnet"])
def test_in_bfloat16_a_lane_on_a_gpu_is_trained_as_by_itself_but_for_rounding(family: str) -> None:
    data = tiny_data(train=24)
    configs = {lane: in_bfloat16(lane_config(lane, "sgd", family)) for lane in range(24)}
    epoch = shoal_of(configs, data, device=GPU).train_epoch()
    for lane, config in configs.items():
        expected = alone(config, 1, data, GPU)[1][0].metrics["train_loss"]
        assert epoch[lane].metrics["train_loss"] == pytest.approx(expected, rel=2**-5), lane


@pytest.mark.usefixtures("little_memory")
def test_a_shoal_too_large_for_the_gpu_was_short_of_room_and_others_go_on() -> None:
    pool = Pool(tiny_data(), lanes=8)
    config = tiny_config(model={"hidden": [4096, 4096]})  # 8 lanes: 512 MiB of weights alone
    with pytest.raises(ShoalError, match="OutOfMemoryError"):
        Member(pool, config, GPU)
    assert pool.takes(config)  # with fewer lanes; after another error it would not
    assert next(Member(pool, tiny_config(), GPU)).epoch == 1


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[torch.cuda.CUDAGraph | None]:
    """What recorders have made; a step is recorded however few there are."""
    made: list[torch.cuda.CUDAGraph | None] = []
    record = repeated._Recorder.recorded

    def noted(recorder: repeated._Recorder, step: Callable[[], None]) -> Any:
        made.append(record(recorder, step))
        return made[-1]

    monkeypatch.setattr(repeated._Recorder, "recorded", noted)
    monkeypatch.setattr(repeated, "FEWEST", 5)
    repeated._recorder.cache_clear()
    return made


@pytest.mark.parametrize("configs", KINDS)
def test_a_gpu_repeats_a_step_as_it_takes_it_first(
    configs: Configs,
    recordings: list[torch.cuda.CUDAGraph | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, expected = (shoal_of(configs, tiny_data(train=96), device=GPU) for _ in range(2))
    for _ in range(2):
        found.train_epoch()
    assert [graph is not None for graph in recordings] == [True, True]
    monkeypatch.setattr(repeated, "FEWEST", 10**9)
    for _ in range(2):
        expected.train_epoch()
    for lane, state in expected.state_dict().items():
        check_states(found.extract(lane), state, 1e-4)


def test_a_step_is_recorded_while_another_thread_copies(
    recordings: list[torch.cuda.CUDAGraph | None],
) -> None:
    has_ended = threading.Event()

    def copy() -> int:
        copies = 0
        while not has_ended.is_set():
            torch.ones(1000, device=GPU).cpu()
            copies += 1
        return copies

    with ThreadPoolExecutor(1) as pool:
        copies = pool.submit(copy)
        shoal = shoal_of({n: lane_config(n) for n in range(4)}, tiny_data(train=96), device=GPU)
        for _ in range(4):
            shoal.train_epoch()
        has_ended.set()
        assert copies.result() > 0
    assert [graph is not None for graph in recordings] == [True] * 4


def test_a_step_that_asks_the_gpu_is_not_recorded_and_taken_as_often(
    recordings: list[torch.cuda.CUDAGraph | None],
) -> None:
    counter = torch.zeros(1, device=GPU)

    def step() -> None:
        counter.add_(1)
        counter.item()

    taken = repeated.Repeated(step, GPU, times=10)
    for _ in range(repeated.WARM_UPS):
        taken()
    with pytest.warns(UserWarning, match="handed each operation by itself"):
        taken()
    for _ in range(6):
        taken()
    assert counter.item() == 10
    assert recordings == [None]
    torch.cuda.empty_cache()


def test_recordings_of_many_epochs_take_no_more_memory_than_those_of_a_few(
    recordings: list[torch.cuda.CUDAGraph | None],
) -> None:
    shoal = shoal_of({n: lane_config(n) for n in range(4)}, tiny_data(train=96), device=GPU)
    reserved = []
    for _ in range(30):
        shoal.train_epoch()
        reserved.append(torch.cuda.memory_reserved(GPU))
    assert len(recordings) == 30
    assert reserved[-1] == reserved[3]
