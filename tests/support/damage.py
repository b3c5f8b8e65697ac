"""Experiment files, journals and bundles to damage, and how they are written into a folder."""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
import yaml

from analysis.bundle.bundle import Bundle
from analysis.bundle.writing import write_bundle
from analysis.record.events import Started, Tested
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from analysis.record.trials import Trial
from search.control.controller import Controller
from search.control.coordinator import Coordinator
from search.rerun.audit import Audit
from search.rerun.candidates import best_configurations, race_among, verdict
from search.rerun.rerunner import Plan, Rerunner
from spaces.checks import parse_experiment
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.training_config import TrainConfig, resolve
from tests.support import examples
from tests.support.mutations import (
    JSON_VALUES,
    YAML_VALUES,
    damage,
    damage_tensors,
    rearrange,
    with_value,
)
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.data.splits import input_spec, shape_of
from trainables.models.families import build_model

Data = dict[str, Any]

EXPERIMENTS: list[Data] = [
    {"name": "made", "model": {"family": "mlp", "hidden": [16]}, "space": examples.SPACE},
    {
        "name": "convnets",
        "question": "Which one?",
        "dataset": {"name": "mnist", "classes": [3, 5], "subset": 100},
        "model": {"family": "convnet", "blocks": [{"channels": 4, "pool": 2}], "hidden": [8]},
        "space": {
            "network": {"one": {"hidden": [4]}, "two": {"blocks": [{"channels": 2}] * 2}},
            "batch_size": {"low": 16, "high": 64, "step": 16},
        },
        "baseline": {"network": "two", "batch_size": 32},
    },
    {
        "name": "conditions",
        "train": {"schedule": {"name": "cosine", "warmup_epochs": 1}, "clip_norm": 1.0},
        "space": {
            "optimizer": ["sgd", "adam"],
            "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
            "norm": ["none", "batch", "group"],
        },
        "baseline": {"optimizer": "adam", "norm": "batch"},
        "metric": {"name": "val_loss", "scope": "best"},
        "budget": {"trials": 9, "patience": 7, "target": 0.001},
    },
    {
        "name": "grids",
        "dataset": {"name": "diabetes", "normalize": {"mean": 0.0, "std": [1.0]}},
        "sampler": {"name": "grid"},
        "space": {"weight_decay": {"low": 0.0, "high": 0.1, "step": 0.05}, "hidden.0": [4, 8]},
        "model": {"hidden": [4]},
        "resources": {"cpus": 1, "gpus": 0},
        "storage": "kept/here",
    },
    {
        "name": "code",
        "trainable": "own.py:train",
        "train": {"depth": 3, "sizes": [1, 2], "name": "x", "more": {"a": None}},
        "space": {"x": {"low": 0.0, "high": 1.0}, "kind": {"a": {"y": 1}, "b": {"y": 2}}},
        "metric": {"name": "score"},
        "sampler": {"name": "gp"},
    },
    {
        "name": "functions",
        "trainable": "own.py:train",
        "space": "own.py:space",
        "metric": {"name": "score"},
        "sampler": {"name": "qmc"},
    },
    {
        "name": "tables",
        "dataset": {"name": "table", "file": "own.csv", "target": "y", "categories": ["zip"]},
        "model": {"hidden": [4]},
        "space": {"lr": {"low": 1e-4, "high": 1.0, "log": True}},
    },
]
OWN_CODE = """
def train(config, context):
    yield {"score": config["x"]}


def space(trial):
    trial.suggest_float("x", 0.0, 1.0)
"""


OWN_TABLE = "a,b,zip,y\n" + "".join(f"{n},{'xyz'[n % 3]},{n % 4},{n / 7}\n" for n in range(30))


def write_whole(data: Data, folder: Path) -> Path:
    """An undamaged experiment file, with the code and the data that it may name beside it."""
    (folder / "own.py").write_text(OWN_CODE)
    (folder / "own.csv").write_text(OWN_TABLE)
    common = {"scheduler": {"max_epochs": 9}, "budget": {"trials": 8}}
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump({**common, **data}, sort_keys=False))
    return path


def write_experiment(rng: random.Random, folder: Path) -> None:
    """A damaged experiment file."""
    file = write_whole(rng.choice(EXPERIMENTS), folder)
    data = yaml.safe_load(file.read_text())
    file.write_bytes(_damaged(data, rng, as_yaml=True))


def write_change(rng: random.Random, folder: Path) -> None:
    """A whole experiment file, and a ``--set`` that damages it."""
    data = rng.choice(EXPERIMENTS)
    write_whole(data, folder)
    paths = [*data, "model.hidden.0", "train.lr", "space.lr.low", "dataset.root", "seed", "storage"]
    (folder / "change").write_text(f"{rng.choice(paths)}={rng.choice(YAML_VALUES)}")


def _damaged(data: Any, rng: random.Random, as_yaml: bool) -> bytes:
    """YAML or JSON of ``data``, damaged in one of many ways."""
    kind = rng.random()
    for _ in range(rng.choice((1, 1, 2)) if kind < 0.4 else 0):
        data = rearrange(data, rng)
    if 0.4 <= kind < 0.8:
        text = with_value(data, rng, YAML_VALUES if as_yaml else JSON_VALUES, as_yaml)
    else:
        text = yaml.safe_dump(data, sort_keys=False) if as_yaml else json.dumps(data)
    content = text.encode(errors="surrogatepass")
    return damage(content, rng) if kind >= 0.8 else content


def make_runs(folder: Path) -> list[Path]:
    """The folders of a run of every experiment, with ends of every kind, cut off and resumed."""
    runs = []
    for number, data in enumerate(EXPERIMENTS):
        run = folder / f"run{number}"
        run.mkdir()
        experiment = load_experiment(write_whole({**data, "storage": None}, run))
        journal = Journal(run / "journal.jsonl")
        coordinator = Coordinator(experiment, journal)
        versions = {"python": "3.11", "torch": "2.11"}
        config = resolve(experiment, experiment.search_space.samples(1, seed=0)[0], seed=1)
        inputs = None
        if isinstance(config, TrainConfig):
            inputs = input_spec(config.dataset, config.split_seed).plain
        started = Started(spec=experiment.plain(), versions=versions, host="here", inputs=inputs)
        coordinator.start(started)
        _play(coordinator, number, most_reports=20)
        coordinator.close("interrupted")
        coordinator = Coordinator(parse_experiment(experiment.plain()), journal)
        coordinator.resume()
        _play(coordinator, number, most_reports=12)
        coordinator.close("trials" if coordinator.is_over else "interrupted")
        _confirm(coordinator, journal, RunFolder(run), inputs)
        journal.close()
        _set_times(run / "journal.jsonl")
        for trial in coordinator.trials:
            report = trial.scored(experiment.metric)
            epoch = 0 if report is None else report.epoch
            state = _state(epoch, _weights(experiment, trial, inputs))
            Checkpoints(str(run / "checkpoints"), trial.number).save(epoch, state)
        runs.append(run)
    return runs


def _weights(experiment: Experiment, trial: Trial, inputs: Data | None) -> Data:
    """Those of a trial's built-in model; of own code, any."""
    config = resolve(experiment, trial.params, trial.seed)
    if inputs is None or not isinstance(config, TrainConfig):
        return {"0.weight": torch.zeros(4, 2), "0.bias": torch.ones(4)}
    shape = tuple(inputs["shape"])
    return build_model(config.model, shape, inputs["outputs"], seed=0)[0].state_dict()


def _confirm(
    coordinator: Coordinator, journal: Journal, folder: RunFolder, inputs: Data | None
) -> None:
    """Reruns of the best, a verdict, a reading of the test split, and one training of an audit."""
    experiment, trials = coordinator.experiment, coordinator.trials
    candidates = best_configurations(experiment, trials, top=2)
    race = race_among(experiment, trials, candidates, seeds=2)
    stopped = tuple(trial.number for trial in trials)[:1]
    for plan in (race, Audit(stopped, size=1)):
        rerunner = _rerunner(experiment, journal, plan)
        _play(rerunner, seed=0, most_reports=40)
    for rerun in rerunner.trials:
        report = rerun.scored(experiment.metric)
        epoch = 0 if report is None else report.epoch
        place = folder.of_reruns.checkpoints(None)
        state = _state(epoch, _weights(experiment, rerun, inputs))
        Checkpoints(place, rerun.number).save(epoch, state)
    found = verdict(experiment, race, rerunner.reruns.ended(race.wants, experiment.metric), trials)
    if found.winner is not None:
        scores = [0.5, math.nan, 0.6][: len(found.seeds)]
        rerunner.write(found)
        rerunner.write(
            Tested(trial=found.winner, metric="test_accuracy", seeds=found.seeds, scores=scores)
        )


def _rerunner(experiment: Experiment, journal: Journal, plan: Plan) -> Rerunner[Plan]:
    return examples.begun(Rerunner(experiment, journal, lambda *_: plan))


def _set_times(journal: Path) -> None:
    """A second from event to event, so that the cases of the next run are the same."""
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    timed = [{**event, "time": 1.7e9 + number} for number, event in enumerate(events)]
    journal.write_text("".join(json.dumps(event) + "\n" for event in timed))


def _state(epoch: int, weights: Data) -> Data:
    own = {"net": weights, "steps": [1, 2.5, "x", None]}
    training = {"epoch": epoch, "kept": None, "model": weights, "state": own}
    return {"training": training, "reports": []}


def _play(coordinator: Controller, seed: int, most_reports: int) -> None:
    """Train trials one after another, as made-up as can be."""
    rng = random.Random(seed)
    name = coordinator.experiment.metric.name
    reports = 0
    while reports < most_reports and (trial := coordinator.next_trial()) is not None:
        while trial.state == "running" and reports < most_reports:
            value = math.nan if rng.random() < 0.03 else rng.random()
            epoch, steps = trial.epoch + 1, [(50 * trial.epoch + 50, rng.random())]
            metrics = {"train_loss": 1.0, "val_loss": 0.5, name: value}
            coordinator.saved()
            coordinator.report(trial.number, epoch, metrics, steps)
            reports += 1
            if rng.random() < 0.04:
                coordinator.attempt(trial.number, "the process died")
            if trial.state == "running" and rng.random() < 0.04:
                coordinator.end(trial.number, "failed", "Error: no reason")


def write_journal(rng: random.Random, folder: Path, runs: list[Path]) -> None:
    """The folder of a run, with its journal damaged."""
    run = rng.choice(runs)
    shutil.copytree(run / "checkpoints", folder / "checkpoints")
    content = (run / "journal.jsonl").read_bytes()
    if rng.random() < 0.4:
        content = damage(content, rng)
    else:
        lines = content.splitlines()
        first = 0 if rng.random() < 0.3 else rng.randrange(len(lines))
        for number in {first, rng.choice((first, rng.randrange(len(lines))))}:
            lines[number] = _damaged_event(json.loads(lines[number]), rng)
        content = b"\n".join(lines) + b"\n"
    (folder / "journal.jsonl").write_bytes(content)


def _damaged_event(event: Data, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return json.dumps(rearrange(event, rng)).encode()
    text = with_value(event, rng, JSON_VALUES, as_yaml=False)
    return text.encode(errors="surrogatepass").replace(b"\n", b" ")


def write_checkpoints(rng: random.Random, folder: Path, runs: list[Path]) -> None:
    """The folder of a run with damaged checkpoints, each of whose digests fits."""
    run = rng.choice(runs)
    (folder / "journal.jsonl").write_bytes((run / "journal.jsonl").read_bytes())
    for file in (run / "checkpoints").rglob("*.pt"):
        state = Checkpoints(str(file.parents[1]), int(file.parent.name)).load()
        buffer, is_damaged = io.BytesIO(), rng.random() < 0.6
        torch.save(state if is_damaged else rearrange(state, rng), buffer)
        payload = _repacked(buffer.getvalue(), rng) if is_damaged else buffer.getvalue()
        target = folder / file.relative_to(run)
        target.parent.mkdir(parents=True)
        target.write_bytes(hashlib.sha256(payload).digest() + payload)


def _repacked(payload: bytes, rng: random.Random) -> bytes:
    """A file of torch, which is a zip of a pickle and of the tensors, with damage in or around."""
    if rng.random() < 0.3:
        return damage(payload, rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            is_damaged = rng.random() < (0.9 if name.endswith("data.pkl") else 0.1)
            content = old.read(name)
            new.writestr(name, damage(content, rng) if is_damaged else content)
    return buffer.getvalue()


def make_bundles(folder: Path) -> list[Path]:
    """A bundle of every experiment's first configuration."""
    bundles = []
    for number, data in enumerate(EXPERIMENTS):
        source, bundle = folder / f"source{number}", folder / f"bundle{number}"
        source.mkdir()
        experiment = load_experiment(write_whole(data, source))
        params = experiment.baseline or experiment.search_space.samples(1, seed=0)[0]
        config = resolve(experiment, params, seed=1)
        weights, inputs = {"state": torch.zeros(2)}, None
        if isinstance(config, TrainConfig):
            model, _ = build_model(config.model, *shape_of(config.dataset), seed=0)
            weights = model.state_dict()
            inputs = input_spec(config.dataset, config.split_seed).plain
        name = experiment.metric.name
        metrics = {"metric": name, "value": 0.5, "epoch": 9, "metrics": {name: 0.5}}
        plain, origin = config.model_dump(mode="json"), "Made up for a test."
        write_bundle(bundle, Bundle(plain, metrics, {"torch": "2"}, origin, inputs), weights)
        bundles.append(bundle)
    return bundles


_DAMAGED_KINDS = (".yaml", ".json", ".safetensors")


def write_damaged_bundle(rng: random.Random, folder: Path, bundles: list[Path]) -> None:
    """A bundle of which a file is damaged, or two."""
    shutil.copytree(rng.choice(bundles), folder, dirs_exist_ok=True)
    names = [file.name for file in sorted(folder.iterdir()) if file.suffix in _DAMAGED_KINDS]
    for name in rng.sample(names, k=rng.choice((1, 1, 2))):
        file = folder / name
        if rng.random() < 0.02:
            file.unlink(missing_ok=True)
        elif name == "config.yaml":
            file.write_bytes(_damaged(yaml.safe_load(file.read_text()), rng, as_yaml=True))
        elif file.suffix == ".json":
            file.write_bytes(_damaged(json.loads(file.read_text()), rng, as_yaml=False))
        else:
            file.write_bytes(damage_tensors(file.read_bytes(), rng))
