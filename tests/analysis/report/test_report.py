"""``shoal report``: its page, Markdown, CSV and JSON say what the journal says."""

from __future__ import annotations

import csv
import html
import html.parser
import io
import json
import math
import os
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plotly.graph_objects
import pytest

from analysis.display.numbers import numbers
from analysis.record import events
from analysis.record.events import Confirmed, Created, Finished, Report, Rerun, Resumed
from analysis.record.folder import RunFolder, open_run
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from analysis.report.build import SECTIONS, WRITERS, build_report, write_report
from analysis.report.section import ByEpoch, Figure, Grid, Section, Table, Text
from analysis.verdict.confirmation import Confirmation, confirmation_of
from search.control.coordinator import Coordinator
from tests.support import examples
from tests.support.reports import BASELINE, HOSTILE, many, whole_run

OUR_MARKUP = {"<br>", "<extra>", "</extra>"}  # in what is told of a point


def written(coordinator: Coordinator, folder: Path, kind: str = "html", **more: Any) -> str:
    report = build_report(RunFolder(folder), coordinator.experiment, coordinator.trials, **more)
    return WRITERS[kind](report).decode()


def sections(coordinator: Coordinator, folder: Path, **more: Any) -> dict[str, Section]:
    report = build_report(RunFolder(folder), coordinator.experiment, coordinator.trials, **more)
    return {section.anchor: section for section in report.sections}


def readable(page: str) -> str:
    """What a reader sees of a page, without its scripts."""
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", body))


def embedded(page: str, name: str) -> Any:
    """A JSON block of a page."""
    (found,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page)
    assert not set("<>&") & set(found)
    return json.loads(found)


def figures(section: Section) -> Iterator[Figure]:
    for part in section.parts:
        yield from part.figures if isinstance(part, Grid) else []
        yield from part.first.figures if isinstance(part, ByEpoch) else []
        yield from [part] if isinstance(part, Figure) else []


class Tags(html.parser.HTMLParser):
    """Every element of a page, as a browser would make them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_answer_comes_first_with_the_winner_and_its_gain(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    metric = coordinator.experiment.metric
    best = coordinator.trials.ranked(metric)[0]
    value, before = best.value(metric), coordinator.trials.by_number[0].value(metric)
    assert value is not None
    assert before is not None
    text = readable(written(coordinator, tmp_path))
    shown, shown_before = numbers([value, before])
    lead = f"Trial {best.number} is the best found: val_accuracy {shown} (higher is better), "
    lead += f"{value - before:.4g} more than the baseline's {shown_before}."
    assert lead in text
    assert "not yet confirmed: one reading each, the highest of many" in text
    assert f"shoal confirm {tmp_path}" in text
    assert text.index(lead) < text.index("Each trial's val_accuracy")


def test_every_section_stands_in_its_order(tmp_path: Path) -> None:
    found = list(sections(whole_run(tmp_path), tmp_path))
    assert len(found) == len(SECTIONS) - 1  # without that of an audit
    assert found[:5] == ["answer", "history", "curves", "states", "rungs"]
    assert found[-4:] == ["failures", "cost", "experiment", "versions"]


def confirmed(coordinator: Coordinator) -> Confirmation:
    """A confirmation of a whole run: the best trial races another, measured with three seeds."""
    metric = coordinator.experiment.metric
    first, second = coordinator.trials.ranked(metric)[:2]
    scores = {first.number: [0.81, 0.82, 0.83], second.number: [0.7, 0.71], 0: [0.6, 0.61, 0.62]}
    reruns = Reruns()
    jobs = [(first, "choose", 3), (second, "choose", 2), (first, "measure", 3)]
    jobs.append((coordinator.trials.by_number[0], "measure", 3))
    for trial, purpose, count in jobs:
        for index in range(count):
            number = len(reruns.trials)
            metrics = {metric.name: scores[trial.number][index]}
            for what in (
                Created(trial=number, params=trial.params, seed=number),
                Report(trial=number, epoch=1, metrics=metrics, decision="stop"),
                Finished(trial=number, state="completed", epoch=1),
            ):
                reruns.apply(
                    Rerun(trial=trial.number, purpose=purpose, index=index, what=what)  # type: ignore[arg-type]
                )
    reruns.apply(
        Confirmed(
            winner=first.number,
            params=first.params,
            seeds=[1, 2, 3],
            scores=scores[first.number],
            baseline_scores=scores[0],
            candidates=[first.number, second.number],
            most_seeds=3,
        )
    )
    readings = {first.number: [0.79, 0.8, 0.81], 0: [0.58, 0.59, math.nan]}
    for number, test_scores in readings.items():
        reruns.apply(
            events.Tested(
                trial=number,
                metric="test_accuracy",
                seeds=[1, 2, 3],
                scores=test_scores,
                samples=100,
            )
        )
    found = confirmation_of(coordinator.experiment, coordinator.trials, reruns)
    assert found is not None
    return found


def test_a_confirmation_takes_the_place_of_the_searched_answer(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    found = confirmed(coordinator)
    assert found.winner is not None
    text = " ".join(readable(written(coordinator, tmp_path, confirmation=found)).split())
    assert found.sentence.startswith("Confirmed: 80.00 % on test (95 %: ")
    assert "21.50 points better than the baseline (" in found.sentence
    for fact in (
        f"{found.sentence}.",
        "Gain over the baseline on validation: 21.00 points (95 %: ",
        "Gain over the baseline on test: 21.50 points (95 %: ",
        "58.00 %, 59.00 %, failed",
        f"confirmed (trial {found.winner.trial})",
    ):
        assert fact in text
    assert "not yet confirmed" not in text
    told = json.loads(written(coordinator, tmp_path, "json", confirmation=found))
    assert told["answer"]["confirmed"] == found.plain()


def test_what_mattered_is_drawn_for_each_rung_that_has_enough_trials(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, baseline=BASELINE, budget={"trials": 60})
    while (trial := coordinator.next_trial()) is not None:
        lr = trial.params["lr"]
        assert isinstance(lr, float)
        height = 0.9 - 0.1 * abs(math.log10(lr) + 2)  # best at 0.01
        while examples.report(coordinator, trial.number, trial.epoch + 1, height) != "stop":
            pass
    found = sections(coordinator, tmp_path)
    data = found["mattered"].data
    assert [entry["epoch"] for entry in data["importance"]] == [1, 3, 9]
    first = data["importance"][0]
    assert first["trials"] == 60  # the early-stopped ones, too
    for evaluator in ("ped-anova", "fanova"):
        assert next(iter(first["shares"][evaluator])) == "lr"
    assert any(finding["parameters"] == ["lr"] for finding in data["findings"])
    page = readable(written(coordinator, tmp_path))
    assert data["findings"][0]["sentence"] in page
    effects = {effect["parameter"]: effect for effect in found["effects"].data["parameters"]}
    assert sum(level["n"] for level in effects["activation"]["levels"]) == 60
    (pair,) = found["pairs"].data
    assert sum(sum(row) for row in pair["counts"]) == 60
    for anchor in ("mattered", "effects", "pairs"):  # the rung that all entered comes first
        (part,) = (part for part in found[anchor].parts if isinstance(part, ByEpoch))
        epochs = list(part.grids)
        assert epochs[0] == 1
        assert 3 in epochs[1:]
    later = {entry["epoch"]: entry for entry in found["effects"].data["later"]}
    reached = sum(trial.epoch >= 3 for trial in coordinator.trials)
    levels = later[3]["parameters"][1]["levels"]
    assert sum(level["n"] + level["diverged"] for level in levels) == reached < 60


def test_where_trials_diverged_is_explained(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, baseline=BASELINE, budget={"trials": 60})
    while (trial := coordinator.next_trial()) is not None:
        lr = trial.params["lr"]
        assert isinstance(lr, float)
        value = math.nan if lr > 0.1 else None
        while examples.report(coordinator, trial.number, trial.epoch + 1, value) != "stop":
            pass
    text = " ".join(readable(written(coordinator, tmp_path)).split())
    diverged = coordinator.trials.counts()["diverged"]
    assert diverged > 2
    assert re.search(rf"{diverged} of {diverged} trials with lr .* diverged", text)
    assert "The share of trials that diverged, by level" in text


def test_all_five_states_are_counted_zeros_too(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    (part,) = sections(coordinator, tmp_path)["states"].parts
    assert isinstance(part, Table)
    counts = {row[0]: row[1] for row in part.rows}
    assert counts == {**coordinator.trials.counts(), "in all": 16}
    assert counts["running"] == 0
    assert counts["diverged"] == counts["failed"] == 1


def test_rungs_are_counted_as_the_rule_counted_them(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"trials": 30})
    examples.run_all(coordinator)
    told = sections(coordinator, tmp_path)["rungs"].data
    rungs = coordinator.policy.rungs.by_epoch.values()
    assert [(row["epoch"], row["entered"], row["passed"]) for row in told] == [
        (rung.epoch, rung.entered, rung.passed) for rung in rungs
    ]
    assert told[0]["entered"] == 30
    assert told[0]["stopped"] == 30 - told[0]["passed"]


def test_the_report_says_how_well_the_rungs_foretold_and_where_the_epochs_went(
    tmp_path: Path,
) -> None:
    coordinator = examples.coordinator(
        tmp_path, sampler="curves", scheduler="freeze_thaw", budget={"trials": 30}
    )
    examples.run_all(coordinator)
    section = sections(coordinator, tmp_path)["rungs"]
    (text,) = [
        part.text for part in section.parts if isinstance(part, Text) and "rank" in part.text
    ]
    assert "from 1 to 3 1" in text  # curves that never cross
    assert f"Of {coordinator.trials.epochs} epochs, 30 were a first look" in text


def test_without_a_scheduler_there_are_no_rungs(tmp_path: Path) -> None:
    scheduler = {"name": "none", "max_epochs": 2}
    coordinator = examples.coordinator(tmp_path, scheduler=scheduler, budget={"trials": 3})
    examples.run_all(coordinator)
    found = sections(coordinator, tmp_path)
    assert found["rungs"].parts == [Text("No rungs: every trial may train to epoch 2.")]
    assert found["cost"].data["epochs_saved"] == 0


def test_what_asha_saved_is_what_stopped_trials_did_not_train(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    told = sections(coordinator, tmp_path)["cost"].data
    stopped = [trial for trial in coordinator.trials if trial.state == "stopped"]
    assert told["epochs_saved"] == sum(9 - trial.epoch for trial in stopped) > 0
    assert told["epochs_not_trained_after_failures"] == (9 - 1) + (9 - 0)
    assert told["epochs"] == coordinator.trials.epochs


def test_pauses_between_sessions_count_for_no_trial() -> None:
    experiment, trials = many(0, 1)
    params: Any = {"lr": 0.1, "activation": "relu"}
    trials.apply(Created(trial=0, params=params, seed=0, time=10.0))
    trials.apply(Created(trial=1, params=params, seed=0, time=12.0))
    trials.apply(Resumed(time=1000.0))
    trials.apply(Finished(trial=0, state="failed", epoch=0, time=1005.0))
    assert trials.by_number[0].seconds == 2.0 + 5.0
    report = build_report(RunFolder(Path("run")), experiment, trials)
    told = next(section.data for section in report.sections if section.anchor == "cost")
    assert told["trial_seconds"] == 7.0 + 5.0  # trial 1 is still running
    assert told["seconds"] == 12.0 + 5.0


def test_the_history_draws_every_trial_and_each_new_best(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    metric = coordinator.experiment.metric
    section = sections(coordinator, tmp_path)["history"]
    (figure,) = figures(section)
    traces = {trace["name"]: trace for trace in figure.data}
    assert set(traces) == {
        "stopped", "completed", "diverged", "failed", "best so far", "baseline",
    }  # fmt: skip
    drawn = [point[0] for name in traces for point in listed(traces[name])]
    assert sorted(drawn) == list(range(16))
    lowest = min(v for t in coordinator.trials if (v := t.value(metric)) is not None)
    assert traces["diverged"]["y"] == traces["failed"]["y"]
    assert traces["failed"]["y"][0] < lowest
    values = traces["best so far"]["y"]
    assert values == sorted(values)
    best = coordinator.trials.best(metric)
    assert best is not None
    assert values[-1] == best.value(metric)
    assert section.data[-1] == {"trial": best.number, "best": values[-1]}


def listed(trace: Any) -> list[Any]:
    held = trace.get("customdata", [])
    return [point for point in held if isinstance(point, list)]


def test_a_curve_has_every_epoch_of_its_trial(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    (figure,) = figures(sections(coordinator, tmp_path)["curves"])
    drawn = {
        (number, x): y
        for trace in figure.data
        if trace["mode"] == "lines"
        for number, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True)
        if number is not None
    }
    expected = {
        (trial.number, report.epoch): report.metrics["val_accuracy"]
        for trial in coordinator.trials
        for report in trial.reports
    }
    assert math.isnan(expected[3, 1])
    assert drawn == {**expected, (3, 1): None}


def test_plotly_accepts_every_figure(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    found = [f for s in sections(coordinator, tmp_path).values() for f in figures(s)]
    assert len(found) == 9
    for figure in found:
        text = json.dumps([figure.data, figure.layout])
        data, layout = json.loads(re.sub(r'"--[a-z0-9-]+"', '"#123456"', text))
        plotly.graph_objects.Figure(data=data, layout=layout)


def test_every_colour_of_a_figure_is_in_the_style_sheet(tmp_path: Path) -> None:
    page = written(whole_run(tmp_path), tmp_path)
    used = set(re.findall(r'"(--[a-z0-9-]+)"', json.dumps(embedded(page, "figures"))))
    assert len(used) > 8
    for colour in used:
        assert page.count(f"{colour}: #") == 3, colour  # light, dark by system, dark by choice


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_scripts(tmp_path: Path) -> None:
    page = written(whole_run(tmp_path), tmp_path)
    tags = Tags(page).found
    for _, attributes in tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,")), attributes
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy


def test_hostile_texts_are_only_shown(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {}\n")
    coordinator = examples.own_code_coordinator(
        tmp_path,
        question=HOSTILE,
        space={HOSTILE[:80]: [HOSTILE, "b"], "x": {"low": 0.0, "high": 1.0}},
        metric={"name": HOSTILE, "mode": "max"},
        budget={"trials": 4},
    )
    for number in range(4):
        coordinator.next_trial()
        coordinator.report(number, 1, {HOSTILE: number / 10})
        coordinator.end(number, "failed" if number == 3 else "completed", HOSTILE)
    page = written(coordinator, tmp_path)
    assert HOSTILE not in page
    assert [tag for tag, _ in Tags(page).found if tag in ("img", "script")] == ["script"] * 4
    table = embedded(page, "trials-data")[0]
    assert HOSTILE in table["columns"]
    assert HOSTILE in [row[-1] for row in table["rows"]]
    assert set(re.findall("<[^>]*>?", json.dumps(embedded(page, "figures")))) <= OUR_MARKUP
    markdown = re.sub("```.*```", "", written(coordinator, tmp_path, "md"), flags=re.DOTALL)
    assert re.findall(r"(?<!\\)<", markdown) == []
    assert json.loads(written(coordinator, tmp_path, "json"))["failures"][0]["reason"] == HOSTILE


def test_the_keys_of_a_storage_stay_out(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    storage = "s3://id:secret@bucket/path?token=secret"  # as earlier versions took it
    examples.run_all(coordinator, reports=20)
    coordinator.experiment = coordinator.experiment.model_copy(update={"storage": storage})
    for kind in WRITERS:
        assert "secret" not in written(coordinator, tmp_path, kind)


def test_markdown_has_the_answer_the_counts_and_the_trials(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    text = written(coordinator, tmp_path, "md")
    assert text.startswith("# made: ")
    assert "**Trial " in text
    assert "| diverged | 1 |" in text
    assert "ValueError: no memory" in text
    assert "```yaml\nname: made\n" in text
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \| \w+ \|", line)]
    assert len(rows) >= 16
    assert len({line.count(" | ") for line in rows if "relu" in line or "tanh" in line}) == 1


def test_csv_has_every_trial(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    rows = list(csv.DictReader(io.StringIO(written(coordinator, tmp_path, "csv"))))
    assert [(int(row["trial"]), row["state"]) for row in rows] == [
        (trial.number, trial.state) for trial in coordinator.trials
    ]
    values = [trial.value(coordinator.experiment.metric) for trial in coordinator.trials]
    assert [float(row["value"]) if row["value"] else None for row in rows] == values


def test_json_is_one_strict_document(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    text = written(coordinator, tmp_path, "json")
    told = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    best = coordinator.trials.best(coordinator.experiment.metric)
    assert best is not None
    assert told["answer"]["best"]["trial"] == best.number
    assert told["answer"]["best"]["params"] == best.params
    assert told["states"] == coordinator.trials.counts()
    assert [row["trial"] for row in told["trials"]] == list(range(16))
    assert [row["trial"] for row in told["failures"]] == [3, 4]
    assert told["experiment"] == coordinator.experiment.plain()


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    coordinator = whole_run(tmp_path)
    _, experiment, trials = open_run(tmp_path)
    again = build_report(RunFolder(tmp_path), experiment, trials)
    assert WRITERS["html"](again).decode() == written(coordinator, tmp_path)


def test_a_run_that_is_still_being_written_is_reported_as_far_as_it_is(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator, reports=25)
    assert coordinator.trials.running
    with (tmp_path / "journal.jsonl").open("rb") as file:
        whole = file.read()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "journal.jsonl").write_bytes(whole + b'{"event": "rep')  # a torn line
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        folder, experiment, trials = open_run(tmp_path / "other")
    (tmp_path / "other" / "journal.jsonl").unlink()
    page = WRITERS["html"](build_report(folder, experiment, trials, is_live=True)).decode()
    assert "The run is being written now; this is what is there so far." in readable(page)
    assert "leads so far" in readable(page)
    assert len(embedded(page, "trials-data")[0]["rows"]) == len(coordinator.trials)


def test_where_every_trial_failed_the_report_says_so(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"trials": 2})
    for number in range(2):
        coordinator.next_trial()
        coordinator.end(number, "failed", "KeyError: 'x'")
    text = readable(written(coordinator, tmp_path))
    assert "No trial has a value of val_accuracy." in text
    assert "KeyError: 'x'" in text
    assert {"parameters", "parallel"} & sections(coordinator, tmp_path).keys() == set()


def test_a_space_whose_function_is_gone_is_reported_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def train(config, context):\n    yield {}\n"
        "def space(trial):\n    trial.suggest_float('x', 0, 1)\n"
        "    trial.suggest_categorical('c', ['a', None])\n"
    )
    coordinator = examples.own_code_coordinator(tmp_path, space=f"{tmp_path}/own.py:space")
    for number in range(4):
        coordinator.next_trial()
        coordinator.report(number, 1, {"score": number / 10})
        coordinator.end(number, "completed")
    (tmp_path / "own.py").rename(tmp_path / "gone.py")
    folder, experiment, trials = open_run(tmp_path)
    report = build_report(folder, experiment, trials)
    (tmp_path / "gone.py").rename(tmp_path / "own.py")
    grid = next(section for section in report.sections if section.anchor == "parameters")
    assert [f.layout["xaxis"]["title"]["text"] for f in figures(grid)] == ["x", "c"]


def test_numbers_that_no_float_holds_or_tells_apart_are_drawn() -> None:
    experiment = examples.experiment()
    trials = Trials([examples.started(experiment)])
    for number in range(6):
        params: Any = {"x": [10**400, 1][number % 2], "lr": [0.5, 0.5 - 2**-54][number % 2]}
        metrics = {"val_accuracy": (-1) ** number * 1e308}
        trials.apply(Created(trial=number, params=params, seed=0))
        trials.apply(Report(trial=number, epoch=1, metrics=metrics, decision="stop"))
        trials.apply(Finished(trial=number, state="stopped", epoch=1))
    report = build_report(RunFolder(Path("run")), experiment, trials)
    drawn = [figure for section in report.sections for figure in figures(section)]
    assert len(drawn) >= 5
    for write in WRITERS.values():
        assert len(write(report)) > 100


def test_a_thousand_trials_fit_in_eight_megabytes() -> None:
    experiment, trials = many(1000, 27)
    report = build_report(RunFolder(Path("run")), experiment, trials)
    assert len(WRITERS["html"](report)) < 8e6


def test_ten_thousand_trials_are_drawn_as_samples_that_say_so() -> None:
    experiment, trials = many(10_000, 3)
    report = build_report(RunFolder(Path("run")), experiment, trials)
    page = WRITERS["html"](report).decode()
    assert len(page) < 8e6
    text = readable(page)
    assert re.search(r"2,\d\d\d of 10,000 are drawn: each that was the best so far", text)
    assert "of 10,000 trials are drawn: the best, the baseline, and an even sample of each" in text
    assert "of 10,000 trials are drawn, an even sample" in text
    assert len(embedded(page, "trials-data")[0]["rows"]) == 10_000
    points = sum(len(trace["x"]) for f in embedded(page, "figures") for trace in f["data"])
    assert points < 20_000


def test_failures_that_say_the_same_stand_once_with_a_count(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"trials": 16})
    for number in range(15):
        coordinator.next_trial()
        coordinator.end(number, "failed", "Traceback …\nOSError: no such file")
    coordinator.next_trial()
    coordinator.report(15, 1, {"val_accuracy": math.nan})
    rows = [
        part.rows
        for part in sections(coordinator, tmp_path)["failures"].parts
        if isinstance(part, Table)
    ]
    assert rows == [
        [
            ["failed", "OSError: no such file", 15, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"],
            ["diverged", "val_accuracy is not finite", 1, "15"],
        ]
    ]


def test_a_pipe_gets_a_report_and_is_not_replaced(tmp_path: Path) -> None:
    run, pipe = tmp_path / "run", tmp_path / "pipe"
    run.mkdir()
    coordinator = whole_run(run)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text)
        report = build_report(RunFolder(run), coordinator.experiment, coordinator.trials)
        write_report(report, pipe, "csv")
        assert read.result().startswith('"trial","state"')
    assert pipe.is_fifo()
