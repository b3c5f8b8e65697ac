"""Searches and clusters in processes of their own, for tests that end them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.support.source import ROOT

DEADLINE_SECONDS = 240.0

SLOW_CODE = """
import time

def train(config, context):
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        time.sleep(0.1)
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""

LIGHTNING_CODE = """
import time, warnings
import lightning.pytorch as lightning
import torch
from torch.utils.data import DataLoader, TensorDataset
from trainables.adapters.lightning import ReportCallback

warnings.simplefilter("ignore")

class Sum(lightning.LightningModule):
    def __init__(self, step):
        super().__init__()
        self.step, self.weight = step, torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))

    def training_step(self, batch, index):
        return (batch[0] * self.weight).sum()

    def on_train_epoch_end(self):
        time.sleep(0.1)
        self.total += self.step
        self.log("score", self.total)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

def train(config, context):
    report = ReportCallback(context)
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(max_epochs=context.max_epochs, callbacks=[report], **quiet)
    data = DataLoader(TensorDataset(torch.ones(4, 1)))
    trainer.fit(Sum(config["step"]), data, ckpt_path=report.checkpoint)
"""

TRANSFORMERS_CODE = """
import time, warnings
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from trainables.adapters.transformers import ReportCallback

warnings.simplefilter("ignore")

class Sum(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))

    def forward(self, x, labels):
        return {"loss": (x * self.weight).sum(), "logits": x}

class Adds(TrainerCallback):
    def __init__(self, model, step):
        self.model, self.step = model, step

    def on_epoch_end(self, args, state, control, **kwargs):
        time.sleep(0.1)
        self.model.total += self.step

def train(config, context):
    model, report = Sum(), ReportCallback(context)
    arguments = TrainingArguments(
        output_dir=str(context.folder),
        num_train_epochs=context.max_epochs,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    rows = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 4
    trainer = Trainer(
        model,
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        compute_metrics=lambda prediction: {"score": model.total.item()},
        callbacks=[Adds(model, config["step"]), report],
    )
    trainer.train(resume_from_checkpoint=report.checkpoint)
"""

_CLUSTER = """
import sys
from ray.cluster_utils import Cluster

head = {"num_cpus": int(sys.argv[1]), "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=head)
nodes = []
print(">", cluster.address, flush=True)
for line in sys.stdin:
    if line == "join\\n":
        nodes.append(cluster.add_node(num_cpus=1, num_gpus=1))
        print(">", nodes[-1].node_id, flush=True)
    elif line == "lose\\n":
        lost = nodes.pop(0)
        cluster.remove_node(lost, allow_graceful=False)
        print(">", lost.node_id, flush=True)
    else:
        break
cluster.shutdown()
"""


def process(*command: str) -> subprocess.Popen[str]:
    """Start a command in a session of its own, so that a signal to its group meets only it.

    It hears SIGHUP, which these tests may have been told to ignore, as nohup does.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            stdin=subprocess.PIPE,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGHUP, before)


def python(*arguments: str) -> subprocess.Popen[str]:
    """Start Python in a process of its own."""
    return process(sys.executable, *arguments)


def shoal(*arguments: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return python("-m", "search.cli.main", *arguments)


class RayCluster:
    """A cluster of several nodes on this machine, in a process of its own; a context manager.

    Args:
        head_cpus: how many trials fit on its first node; the ones that join have one CPU and one
            made-up GPU each.
    """

    def __init__(self, head_cpus: int = 0) -> None:
        self._process = python("-c", _CLUSTER, str(head_cpus))
        self.address = self._answer()

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut_down()

    def join(self) -> str:
        """Let a node join; returns its id."""
        return self._do("join")

    def lose(self) -> str:
        """Kill the processes of the node that joined first; returns its id."""
        return self._do("lose")

    def shut_down(self) -> None:
        """End all of its processes."""
        self._process.communicate("end\n", timeout=DEADLINE_SECONDS)

    def _do(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return next(line[2:].strip() for line in self._process.stdout if line.startswith("> "))


def code_file(folder: Path, code: str, **changes: Any) -> str:
    """An experiment file on own code, which sums up ``step``, and the code beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "own.py").write_text(code)
    data = {
        "name": "own",
        "trainable": "own.py:train",
        "space": {"step": {"low": 0.0, "high": 1.0}},
        "metric": {"name": "score"},
        "scheduler": {"max_epochs": 9},
        "budget": {"trials": 8},
        "resources": {"gpus": 0},
    }
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump({**data, **changes}))
    return str(file)


def reporting(code: str) -> str:
    """The same code as a plain function, which reports its metrics instead of yielding them."""
    changed = re.sub(r"yield (\{.*\})$", r"context.report(\1)", code, flags=re.MULTILINE)
    assert changed != code
    return changed


def slow_file(folder: Path, trials: int = 8, engine: str = "auto") -> str:
    """Own code with epochs of 0.1 s, whose score depends on its saved state."""
    return code_file(folder, SLOW_CODE, budget={"trials": trials}, engine=engine)


def wait_for_epochs(
    run: Path, epochs: int, process: subprocess.Popen[str], event: str = "report"
) -> None:
    """Wait until the journal has so many reports, or other events."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        file = run / "journal.jsonl"
        if file.exists() and file.read_text().count(f'"event":"{event}"') >= epochs:
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"no {epochs} of {event}: {process.communicate()}")
