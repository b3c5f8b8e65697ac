"""What a user sees at the command line: answers, and one clear message for each mistake."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml

from search.cli.main import main
from search.export import retrain
from tests.support import examples
from tests.support.commands import file, message


def test_studies_are_listed_with_their_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name": "quickstart", "question": "Does it all work here?"} in rows


def test_show_tells_parameters_layers_space_and_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "quickstart", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["parameters"] == 64 * 64 + 64 + 64 * 10 + 10
    assert sum(layer["parameters"] for layer in shown["layers"]) == shown["parameters"]
    assert [row["name"] for row in shown["space"]] == [
        "lr",
        "dropout",
        "activation",
        "init",
        "norm",
    ]
    assert shown["budget"] == {"trials": 60, "most_epochs": 60 * 27}
    assert shown["variants"] == []


def test_show_counts_the_parameters_of_each_network_of_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = {
        "small": {"hidden": [8]},
        "conv": {"family": "convnet", "hidden": [], "blocks": [{"channels": 2}]},
    }
    spec = file(tmp_path, space={"network": network}, dataset={"name": "mnist"})
    assert main(["show", spec, "--json"]) == 0
    variants = {
        row["name"]: row["parameters"] for row in json.loads(capsys.readouterr().out)["variants"]
    }
    assert variants == {"small": 784 * 8 + 8 + 90, "conv": 20 + 2 * 784 * 10 + 10}


def test_show_counts_networks_whose_parameters_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with the parameters that apply to it, whatever the baseline is."""
    space = {
        "network": {
            "small": {"hidden": [8]},
            "conv": {"family": "convnet", "hidden": [], "blocks": [{"channels": 2}]},
        },
        "block_dropout": {"low": 0.0, "high": 0.5, "when": {"network": "conv"}},
        "dropconnect": {"low": 0.0, "high": 0.5, "when": {"network": "small"}},
    }
    baseline = {"network": "conv", "block_dropout": 0.1}
    spec = file(tmp_path, space=space, baseline=baseline, dataset={"name": "mnist"})
    assert main(["show", spec, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    variants = {row["name"]: row["parameters"] for row in shown["variants"]}
    assert variants == {"small": 784 * 8 + 8 + 90, "conv": 20 + 2 * 784 * 10 + 10}


def test_show_counts_the_networks_of_a_choice_that_applies_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = {"small": {"hidden": [8]}, "large": {"hidden": [16]}, "when": {"norm": "batch"}}
    space = {"norm": ["none", "batch"], "network": network}
    assert main(["show", file(tmp_path, space=space, baseline={"norm": "none"}), "--json"]) == 0
    variants = {
        row["name"]: row["parameters"] for row in json.loads(capsys.readouterr().out)["variants"]
    }
    assert variants["large"] > 1.5 * variants["small"]


def test_show_draws_training_images(tmp_path: Path) -> None:
    picture = tmp_path / "images.png"
    assert main(["show", "quickstart", "--json", "--images", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_dry_run_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["search", file(tmp_path), "--run", str(run), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "0.0001 … 1 (log)" in shown
    assert shown.count("tanh") + shown.count("relu") >= 12
    assert "at most 108 epochs" in shown
    assert not run.exists()


def test_train_runs_a_files_baseline_in_this_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = file(tmp_path, baseline={"lr": 0.01, "activation": "relu"}, scheduler={"max_epochs": 2})
    load = Mock(wraps=retrain.load_data)
    monkeypatch.setattr(retrain, "load_data", load)
    assert main(["train", spec, "-o", str(tmp_path / "bundle"), "--json"]) == 0
    assert load.call_count == 1
    trained = json.loads(capsys.readouterr().out)
    assert trained["epoch"] == 2
    assert main(["train", str(tmp_path / "bundle"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] == 0.0


def test_own_code_is_trained_in_this_process_and_taken_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(
        "def train(config, context):\n    yield {'score': config['x'] + context.seed * 0}\n"
    )
    data = {
        "name": "own",
        "trainable": "own.py:train",
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "baseline": {"x": 0.25},
        "metric": {"name": "score"},
        "budget": {"trials": 1},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(data))
    bundle = tmp_path / "bundle"
    assert main(["train", str(tmp_path / "own.yaml"), "-o", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 0.25
    assert (bundle / "code" / "own.py").exists()
    (tmp_path / "own.py").unlink()
    assert main(["train", str(bundle), "--json"]) == 0


def test_every_mistake_of_a_file_is_told_in_one_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = file(
        tmp_path, space={"lr": {"low": 1.0, "high": 0.1}}, scheduler={"max_epochs": 0}, bdget={}
    )
    told = message(capsys, "search", spec)
    assert "3 mistakes" in told
    assert "space.lr: low <= high must hold, got low=1.0 and high=0.1" in told
    assert "scheduler.max_epochs: must be at least 1, got 0" in told
    assert "unknown key 'bdget' (did you mean 'budget'?)" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "quickstrat"], "unknown study 'quickstrat' (did you mean 'quickstart'?)"),
        (["search", "quickstart", "--set", "budget.trails=3"], "unknown key 'trails'"),
        (["search", "quickstart", "--set", "bugdet.trials=3"], "unknown key 'bugdet'"),
        (["search", "quickstart", "--set", "seed"], "must look like a.b=value"),
        (["search", "quickstart", "--address", "ray://x:1"], "ray job submit"),
        (["search", "quickstart", "--set", "resources.gpus=1.5"], "a share of one GPU, or whole"),
        (["status", "nowhere"], "nowhere is no run folder"),
        (["resume", "nowhere"], "nowhere is no run folder"),
        (["export", "nowhere", "-o", "out"], "nowhere is no run folder"),
        (["train", "nowhere"], "neither a file nor a study"),
        (["best", "--top", "0"], "error: --top: must be at least 1, got '0'"),
        (["resume", "x", "--trials", "many"], "--trials: must be a whole number, got 'many'"),
        (["resume", "x", "--hours", "soon"], "--hours: must be a number, got 'soon'"),
        (["tensorboard", "x", "--port", "70000"], "--port: must be at most 65535, got '70000'"),
        (["report", "x", "--format", "pdf"], "--format: 'pdf' is not one of 'html', 'md', "),
        (["serach"], "No such command"),
        (["train", "linear", "--set", "model.family=convnet"], "error: model: "),
        (["search", "linear", "--address", "10.0.0..5:6379"], "nothing answers at 10.0.0..5:6379"),
        (["search", "quickstart", "--set", "resources.cpus=1e-320"], "must be at least 0.0001"),
        (["search", "quickstart", "--set", "resources.gpus=1e-9"], "0, or at least 0.0001"),
    ],
)
def test_a_mistake_in_a_command_is_one_clear_message(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in message(capsys, *arguments)


@pytest.mark.edits_journals
def test_a_folder_that_holds_a_run_is_not_searched_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.jsonl").write_text("{}\n")
    told = message(capsys, "search", "quickstart", "--run", str(tmp_path))
    assert f"already holds a run; go on with: shoal resume {tmp_path}" in told


def test_a_run_without_any_run_below_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no run in runs" in message(capsys, "best")


def test_a_model_that_does_not_fit_the_data_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {
        "family": "convnet",
        "blocks": [{"channels": 4, "pool": 4}, {"channels": 4, "kernel": 5}],
    }
    told = message(capsys, "search", file(tmp_path, model=model), "--run", str(tmp_path / "run"))
    assert "blocks.1" in told
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(("kind", "asked"), [("cpus", "64"), ("gpus", "1")])
def test_resources_that_are_not_here_are_told_before_anything_starts(
    kind: str, asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    changes = ["--set", f"resources.{kind}={asked}"]
    if kind == "gpus":
        changes += ["--set", "resources.cpus=64"]
    told = message(capsys, "search", "quickstart", "--run", str(run), *changes)
    assert "per trial asked for, but there are" in told
    assert not run.exists()


def test_a_damaged_bundle_is_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("epochs: 3\n")
    assert "metrics.json: there is no such file" in message(capsys, "train", str(tmp_path))
    (tmp_path / "metrics.json").write_text("{}")
    assert "must hold metric, value and epoch" in message(capsys, "train", str(tmp_path))
    (tmp_path / "metrics.json").write_text('{"metric": "a", "value": 1.0, "epoch": 1}')
    assert "seed: is required" in message(capsys, "train", str(tmp_path))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two epochs on the digits."""
    folder = tmp_path_factory.mktemp("made")
    spec = file(folder, baseline={"lr": 0.01, "activation": "relu"}, scheduler={"max_epochs": 2})
    assert main(["train", spec, "-o", str(folder / "bundle")]) == 0
    return folder / "bundle"


def test_a_bundle_is_trained_with_other_settings_and_what_differs_is_told(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {"expected": [0.0, 1e-9]}
    (bundle / "confirmation.json").write_text(json.dumps(held))
    settings = ["--set", "train.lr=0.02", "--set", "model.activation=tanh", "--set", "epochs=2"]
    assert main(["train", str(bundle), *settings]) == 0
    told = capsys.readouterr().out
    assert "another setting: train.lr is 0.02, was 0.01" in told
    assert "another setting: model.activation is 'tanh', was 'relu'" in told
    assert "epochs 2, not" not in told
    assert "interval" not in told
    assert main(["train", str(bundle), *settings, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == {"train.lr": [0.01, 0.02], "model.activation": ["relu", "tanh"]}
    assert "verdict" not in found
    assert main(["train", str(bundle), "--set", "train.lr=0.01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "equal"  # nothing was changed
    (bundle / "confirmation.json").unlink()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("train.lr=-1", "--set: train.lr: must be above 0.0, got -1"),
        ("train.lrr=1", "--set: train.lrr: unknown key 'lrr' (did you mean 'lr'?)"),
        ("space.lr=1", "--set: space.lr: unknown key 'space'; valid: dataset, device,"),
        ("epochs=0", "--set: epochs: must be at least 1, got 0"),
        ("lr", "--set: must look like a.b=value"),
    ],
)
def test_a_setting_that_a_bundle_does_not_take_is_told(
    bundle: Path, change: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in message(capsys, "train", str(bundle), "--set", change)


def test_the_final_training_is_on_all_samples_and_has_no_validation_score(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    final = tmp_path / "final"
    assert main(["train", str(bundle), "--final", "-o", str(final)]) == 0
    told = capsys.readouterr().out
    assert "no validation score" in told
    assert "val_" not in told
    metrics = json.loads((final / "metrics.json").read_text())
    assert metrics["metric"] == "train_loss"
    assert metrics["epoch"] == 2
    assert not any(name.startswith("val_") for name in metrics["metrics"])
    splits = [json.loads((held / "split.json").read_text()) for held in (bundle, final)]
    assert list(splits[1]) == ["training"]
    assert splits[1]["training"]["samples"] == sum(part["samples"] for part in splits[0].values())
    assert "There is no validation score" in (final / "README.md").read_text()
    assert main(["train", str(final), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["metric"], again["difference"]) == ("train_loss", 0.0)


def test_own_code_has_no_final_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'score': 1.0}\n")
    spec = tmp_path / "own.yaml"
    spec.write_text(yaml.safe_dump(examples.own_code_experiment(tmp_path, space={}).plain()))
    told = message(capsys, "train", str(spec), "--final")
    assert "--final: is for built-in models" in told


@pytest.mark.parametrize("command", [["predict", "x.png"], ["train"]])
def test_of_a_run_it_is_told_that_it_must_be_exported_first(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    examples.coordinator(tmp_path).close()
    told = message(capsys, command[0], str(tmp_path), *command[1:])
    assert f"is a run, no bundle; export it first: shoal export {tmp_path} -o bundle" in told


def test_notes_are_told_where_a_file_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = file(tmp_path, space={"lr": [1e-4, 1e-1]}, metric={"name": "val_loss", "mode": "max"})
    for command in (["show", spec], ["search", spec, "--dry-run"], ["show", spec, "--json"]):
        assert main(command) == 0
        captured = capsys.readouterr()
        assert captured.err.count("note: ") == 2
        assert "note: " not in captured.out


def test_a_full_target_folder_is_told_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = file(tmp_path, baseline={"lr": 0.01, "activation": "relu"})
    assert "is not an empty folder" in message(capsys, "train", spec, "-o", str(tmp_path))


def test_a_picture_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("nowhere/x.png", "x.nonsense"):
        assert main(["show", "quickstart", "--json", "--images", str(tmp_path / name)]) == 2
        assert "--images: " in capsys.readouterr().err


def test_a_training_that_diverges_ends_at_once_and_has_no_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = file(
        tmp_path,
        dataset={"name": "diabetes"},
        train={"optimizer": "sgd", "lr": 1e30},
        space={},
        metric={"name": "val_loss"},
    )
    assert main(["train", spec, "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["value"] is None
    assert trained["epoch"] < 9


def test_an_address_where_nothing_answers_is_told_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = message(capsys, "search", "quickstart", "--address", "127.0.0.1:1")
    assert "--address: nothing answers at 127.0.0.1:1" in told


def test_a_key_that_stands_twice_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "twice.yaml").write_text("name: a\nbudget: {trials: 1}\nbudget: {trials: 2}\n")
    told = message(capsys, "show", str(tmp_path / "twice.yaml"))
    assert "is no YAML in line 3: the key 'budget' stands twice" in told


def test_show_tells_conditions_and_the_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {
        "optimizer": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    }
    spec = file(tmp_path, space=space, baseline={"optimizer": "adam"})
    assert main(["show", spec]) == 0
    shown = capsys.readouterr().out
    assert "optimizer: sgd" in shown
    assert "baseline" in shown


def test_mistakes_in_the_space_do_not_hide_those_in_the_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {
        "lr": {"low": 0.1, "high": 0.2},
        "dropout": {"low": 0.0, "high": 1.0},
        "network": {"a": {"hiden": [3]}, "b": {"dropout": 2}},
    }
    spec = file(tmp_path, space=space, baseline={"lr": 5.0, "dropout": 0.5, "network": "a"})
    told = message(capsys, "show", spec)
    for path in ("space.dropout.high", "space.network.a", "space.network.b", "baseline.lr"):
        assert f"{path}: " in told
