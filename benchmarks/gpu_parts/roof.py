"""What the machine can do at best, and what a training step asks of it: the roofline.

(Williams, Waterman & Patterson, "Roofline", 2009.)
"""

from __future__ import annotations

import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_parts.recording import Row, Setting
from benchmarks.gpu_parts.subjects import SUBJECTS, Subject
from trainables.models.families import count_parameters, empty_model

_ROUNDS, _CALLS = 5, 10
_KEEP_OUTPUTS = (nn.Linear, nn.Conv2d, nn.MaxPool2d)  # others can be fused with them
_READS_AND_WRITES = 5  # of an output: written, read twice; its gradient written, read


def machine(setting: Setting) -> Iterator[tuple[Row, Callable[[], Row]]]:
    """The GPU, how fast it copies, and how fast it multiplies matrices in each precision."""
    device = torch.device(setting.device)
    yield {"what": "device"}, partial(_describe, device)
    yield {"what": "copy"}, partial(_copy_rate, device, setting.is_quick)
    for precision in ("float32", "tf32", "bfloat16"):
        if precision == "tf32" and setting.device == "cpu":
            continue
        what = {"what": "matrices", "precision": precision}
        yield what, partial(_matrix_rate, device, precision, setting.is_quick)


def _describe(device: torch.device) -> Row:
    if device.type == "cpu":
        return {"name": "CPU", "torch": torch.__version__, "convolutions_in_tf32": False}
    held = torch.cuda.get_device_properties(device)
    with warnings.catch_warnings():  # newer versions have another name for it
        warnings.simplefilter("ignore")
        in_tf32 = torch.backends.cudnn.allow_tf32 and held.major >= 8
    return {
        "name": held.name,
        "torch": torch.__version__,
        "memory_bytes": held.total_memory,
        "multiprocessors": held.multi_processor_count,
        "compute_capability": f"{held.major}.{held.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": _driver(),
        "convolutions_in_tf32": in_tf32,
    }


def _driver() -> str | None:
    if (command := shutil.which("nvidia-smi")) is None:
        return None
    asked = [command, "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False).stdout
    return said.strip().partition("\n")[0] or None


def _best_seconds(call: Callable[[], object], device: torch.device) -> float:
    """Of one call, in the fastest of some rounds of calls; a first round is not counted."""

    def seconds() -> float:
        begun = time.perf_counter()
        for _ in range(_CALLS):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - begun) / _CALLS

    seconds()
    return min(seconds() for _ in range(_ROUNDS))


def _copy_rate(device: torch.device, is_quick: bool) -> Row:
    """Bytes per second, those that are read and those that are written."""
    source = torch.ones(2**20 if is_quick else 2**29, device=device)
    target = torch.empty_like(source)
    seconds = _best_seconds(lambda: target.copy_(source), device)
    return {"bytes_per_second": 2 * source.nbytes / seconds}


def _matrix_rate(device: torch.device, precision: str, is_quick: bool) -> Row:
    """FLOP per second of a product of square matrices."""
    size = 128 if is_quick else 8192
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    generator = torch.Generator(device).manual_seed(0)
    one = torch.randn(size, size, device=device, generator=generator).to(kind)
    other, product = one.T.contiguous(), torch.empty_like(one)
    with _tf32(precision == "tf32"):
        seconds = _best_seconds(lambda: torch.mm(one, other, out=product), device)
    return {"flop_per_second": 2 * size**3 / seconds}


@contextmanager
def _tf32(is_used: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if is_used else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def arithmetic(setting: Setting) -> Iterator[tuple[Row, Callable[[], Row]]]:
    """What a step of one training asks for, of each network."""
    for subject in SUBJECTS:
        yield {"model": subject.name}, partial(work_of_step, subject, setting)


def work_of_step(subject: Subject, setting: Setting) -> Row:
    """FLOP and bytes of a training step of one configuration.

    The bytes are the least, as if all that can be fused were: of the weights 4 bytes each, read by
    the forward pass, by the backward pass where inputs have gradients, and by Adam with its two
    means and the gradient; written by Adam, with its means, and the gradient. The outputs of
    linear, convolutional and pooling layers are written once and read twice, and their gradients
    written and read once. They are counted at 4 bytes, too; in bfloat16 it would be 2.
    """
    config = subject.configs(setting, 1)[0]
    model = empty_model(config.model, subject.shape, 10, config.seed)
    outputs: list[int] = []
    for layer in model:
        if isinstance(layer, _KEEP_OUTPUTS):
            layer.register_forward_hook(lambda _, __, output: outputs.append(output.numel()))
    inputs = torch.zeros(config.train.batch_size, *subject.shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        model(inputs).sum().backward()
    counts = counter.get_flop_counts()["Global"]
    conv_flop = sum(flop for kind, flop in counts.items() if "convolution" in str(kind))
    parameters = count_parameters(model)
    first = next(layer for layer in model if isinstance(layer, nn.Linear | nn.Conv2d))
    passed = parameters - count_parameters(first)  # through which gradients go to the inputs
    return {
        "parameters": parameters,
        "batch_size": config.train.batch_size,
        "linear_flop": sum(counts.values()) - conv_flop,
        "conv_flop": conv_flop,
        "bytes": 4 * (9 * parameters + passed + inputs.numel() + _READS_AND_WRITES * sum(outputs)),
    }
