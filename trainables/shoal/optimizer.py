"""Optimizers of many trainings at once: each step is a few operations on rows of numbers.

A row is a training. The rules are those of ``torch.optim``, with a rate for each row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch

from spaces.settings.train import Train
from trainables.fitting.optimizer import schedule_factor
from trainables.models.noise import Step, at_step
from trainables.shoal.layers.layout import Place

Kept = dict[str, torch.Tensor]  # what an optimizer keeps, by PyTorch's names: (rows, parameters)

KEPT: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg", "momentum_buffer"),
}
_BETAS, _ALPHA, _EPS = (0.9, 0.999), 0.99, 1e-8  # PyTorch's own


class Course(NamedTuple):
    """What the optimizer of a training is told: its settings, and where it stands.

    ``step``: done before this epoch; ``steps``: of an epoch; ``max_epochs``: of the schedule.
    """

    settings: Train
    step: int
    steps: int
    max_epochs: int

    def rate(self, number: int) -> float:
        """The learning rate at a step of the epoch, from 0."""
        factor = schedule_factor(
            self.settings.schedule, self.step + number, self.steps, self.max_epochs
        )
        return self.settings.lr * factor

    def rates(self) -> list[float]:
        """The learning rates at all of them."""
        return [self.rate(number) for number in range(self.steps)]


class Optimizer(Protocol):
    """Takes the steps of an epoch."""

    def step(self, number: Step, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        """Change the weights in place.

        Args:
            number: of the step in its epoch, from 0.
            weights: (trainings, parameters).
            gradients: of the same shape; they may be changed.
        """


def make_optimizer(courses: Sequence[Course], kept: Kept, like: torch.Tensor) -> Optimizer:
    """The optimizer of an epoch.

    Args:
        courses: of each training; all of one kind of optimizer (adam and adamw are one).
        kept: what it has kept of earlier steps; it is changed.
        like: a tensor of the type, and on the device, of the weights.
    """
    match courses[0].settings.optimizer:
        case "sgd":
            return _Sgd(courses, kept, like)
        case "rmsprop":
            return _RmsProp(courses, kept, like)
        case "adam" | "adamw":
            return _Adam(courses, kept, like)


class _Rates:
    """What all optimizers have: learning rates, and weight decay that is added to gradients."""

    def __init__(self, courses: Sequence[Course], kept: Kept, like: torch.Tensor) -> None:
        self.kept = kept
        self.like = like
        self.rates = [course.rates() for course in courses]  # (trainings, steps)
        decays = [course.settings.weight_decay for course in courses]
        self.decays = self.column(decays) if any(decays) else None

    def column(self, values: Sequence[float]) -> torch.Tensor:
        """A number for each training, (trainings, 1)."""
        return self.like.new_tensor(values)[:, None]

    def columns(self, values: Sequence[Sequence[float]]) -> torch.Tensor:
        """A number for each step and training, (steps, trainings, 1)."""
        return self.like.new_tensor(values).T.contiguous()[:, :, None]

    def add_decay(self, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        if self.decays is not None:
            gradients.addcmul_(weights, self.decays)


class _Sgd(_Rates):
    def __init__(self, courses: Sequence[Course], kept: Kept, like: torch.Tensor) -> None:
        super().__init__(courses, kept, like)
        self._falls = self.columns([[-rate for rate in rates] for rates in self.rates])
        settings = [course.settings for course in courses]
        momenta = [each.momentum for each in settings]
        self._momenta = self.column(momenta) if any(momenta) else None
        ahead = [each.momentum if each.nesterov else 0.0 for each in settings]
        is_nesterov = [each.nesterov and each.momentum > 0 for each in settings]
        self._ahead = self.column(ahead) if any(is_nesterov) else None
        self._is_nesterov = self.column(is_nesterov).to(torch.bool)

    def step(self, number: Step, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        self.add_decay(weights, gradients)
        if self._momenta is not None:
            buffer = self.kept["momentum_buffer"].mul_(self._momenta).add_(gradients)
            if self._ahead is None:
                gradients = buffer
            else:
                gradients.addcmul_(buffer, self._ahead)
                gradients = torch.where(self._is_nesterov, gradients, buffer)
        weights.addcmul_(gradients, at_step(self._falls, number))


class _Adam(_Rates):
    """Adam, with weight decay added to the gradients, and AdamW, where it shrinks the weights."""

    def __init__(self, courses: Sequence[Course], kept: Kept, like: torch.Tensor) -> None:
        super().__init__(courses, kept, like)
        settings = [course.settings for course in courses]
        is_apart = [each.optimizer == "adamw" for each in settings]
        both = list(zip([each.weight_decay for each in settings], is_apart, strict=True))
        added = [0.0 if apart else decay for decay, apart in both]
        self.decays = self.column(added) if any(added) else None
        shrinking = [decay if apart else 0.0 for decay, apart in both]
        self._kept_shares = None
        if any(shrinking):
            shares = [
                [1.0 - rate * decay for rate in rates]
                for decay, rates in zip(shrinking, self.rates, strict=True)
            ]
            self._kept_shares = self.columns(shares)
        numbers = [range(course.step + 1, course.step + course.steps + 1) for course in courses]
        first, second = _BETAS
        self._falls = self.columns(
            [
                [-rate / (1.0 - first**step) for rate, step in zip(rates, steps, strict=True)]
                for rates, steps in zip(self.rates, numbers, strict=True)
            ]
        )
        self._roots = self.columns(
            [[1.0 / math.sqrt(1.0 - second**step) for step in steps] for steps in numbers]
        )

    def step(self, number: Step, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        self.add_decay(weights, gradients)
        if self._kept_shares is not None:
            weights.mul_(at_step(self._kept_shares, number))
        mean = self.kept["exp_avg"].lerp_(gradients, 1.0 - _BETAS[0])
        square = self.kept["exp_avg_sq"].mul_(_BETAS[1])
        square.addcmul_(gradients, gradients, value=1.0 - _BETAS[1])
        divisor = square.sqrt().mul_(at_step(self._roots, number)).add_(_EPS)
        weights.addcmul_(torch.div(mean, divisor, out=divisor), at_step(self._falls, number))


class _RmsProp(_Rates):
    def __init__(self, courses: Sequence[Course], kept: Kept, like: torch.Tensor) -> None:
        super().__init__(courses, kept, like)
        self._falls = self.columns([[-rate for rate in rates] for rates in self.rates])
        momenta = [course.settings.momentum for course in courses]
        self._momenta = self.column(momenta) if any(momenta) else None

    def step(self, number: Step, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        self.add_decay(weights, gradients)
        square = self.kept["square_avg"].mul_(_ALPHA)
        square.addcmul_(gradients, gradients, value=1.0 - _ALPHA)
        change = gradients.div_(square.sqrt().add_(_EPS))
        if self._momenta is not None:
            change = self.kept["momentum_buffer"].mul_(self._momenta).add_(change)
        weights.addcmul_(change, at_step(self._falls, number))


def state_of(
    kept: Kept, places: Sequence[Place], step: int, settings: Train
) -> dict[int, dict[str, Any]]:
    """The state of one training's own optimizer, as ``torch.optim`` has it.

    Args:
        kept: of this training, (1, parameters).
        places: of its parameters.
        step: how many it has taken.
        settings: its own.
    """
    is_sgd = settings.optimizer == "sgd"
    if step == 0 or (is_sgd and settings.momentum == 0):
        return {}
    floats = torch.get_default_dtype() if settings.optimizer == "rmsprop" else torch.float32
    state: dict[int, dict[str, Any]] = {}
    for number, place in enumerate(places):
        state[number] = {} if is_sgd else {"step": torch.tensor(float(step), dtype=floats)}
        for name, values in kept.items():
            if name != "momentum_buffer" or settings.momentum > 0:
                state[number][name] = place.in_model(values).contiguous().clone()
    return state


def fill_kept(kept: Kept, places: Sequence[Place], state: dict[int, dict[str, Any]]) -> None:
    """Take over the state of one training's own optimizer; the opposite of ``state_of``."""
    for name, values in kept.items():
        values.zero_()
        for number, place in enumerate(places):
            held = state.get(number, {}).get(name)
            if held is not None:
                place.in_model(values).copy_(held)
