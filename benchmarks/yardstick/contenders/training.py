"""The job's network in plain PyTorch, on data in memory; for those who write their own loop."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.yardstick.jobs import ACTIVATIONS, BATCH_SIZE, Arrays, Job


def make_network(job: Job, params: dict[str, Any]) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(job.pixels, job.hidden),
        getattr(nn, ACTIVATIONS[params["activation"]])(),
        nn.Dropout(params["dropout"]),
        nn.Linear(job.hidden, 10),
    )


class Training:
    """One configuration, epoch by epoch.

    Args:
        job: gives the network.
        train: the training split.
        validation: what each epoch is scored on.
        params: lr, dropout and activation.
    """

    def __init__(self, job: Job, train: Arrays, validation: Arrays, params: dict[str, Any]) -> None:
        self._inputs, self._classes = map(torch.from_numpy, train)
        self._held_inputs, self._held_classes = map(torch.from_numpy, validation)
        self._network = make_network(job, params)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=params["lr"])

    def epoch(self) -> float:
        """Train on every image once; returns the validation accuracy."""
        self._network.train()
        for rows in torch.randperm(len(self._inputs)).split(BATCH_SIZE):
            self._optimizer.zero_grad()
            outputs = self._network(self._inputs[rows])  # (batch, 10)
            nn.functional.cross_entropy(outputs, self._classes[rows]).backward()
            self._optimizer.step()
        self._network.eval()
        with torch.inference_mode():
            is_right = self._network(self._held_inputs).argmax(1) == self._held_classes
        return is_right.double().mean().item()
