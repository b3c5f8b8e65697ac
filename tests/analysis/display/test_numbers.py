"""Numbers as people read them: told apart, never a 0 that is none, the same everywhere."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.display.numbers import fixed, fraction, number, numbers, percent, spread
from analysis.display.scale import scale_of
from analysis.display.tables import best_table, rows_table
from analysis.report.page import page_of
from analysis.report.plain import markdown_of
from analysis.report.section import Section, Table, TrialTable
from search.cli.main import main
from spaces.metric import Metric
from tests.support import examples

ROOT = Path(__file__).parents[3]

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=1, max_size=8))
def test_numbers_that_differ_look_different(values: list[float]) -> None:
    texts = numbers(values)
    for one, shown in zip(values, texts, strict=True):
        for other, other_shown in zip(values, texts, strict=True):
            if abs(one - other) > 1e-11 * max(abs(one), abs(other)):
                assert shown != other_shown


@given(finite)
def test_only_nothing_is_written_as_0(value: float) -> None:
    for text in (number(value), numbers([value])[0], fixed(value, 2), spread(value, None)):
        assert (float(text) == 0.0) == (value == 0.0), text


@given(st.floats(min_value=0.0, max_value=1.0))
def test_only_nothing_is_0_percent_and_only_all_is_100(share: float) -> None:
    for places in (0, 1, 2):
        text = percent(share, places)
        assert (float(text.strip("%")) == 0.0 if text[0] not in "<>" else False) == (share == 0.0)
        assert text.startswith("100") == (share == 1.0)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.97222, 0.97220], ["0.97222", "0.97220"]),
        ([0.9, 0.875], ["0.90000", "0.87500"]),
        ([4e-6], ["4e-06"]),
        ([4e-6, 4.0000001e-6], ["4e-06", "4.0000001e-06"]),
        ([0.1 + 0.2, 0.3], ["0.30000", "0.30000"]),  # differ by rounding only
        ([0.0, -0.0, 12345.6, 3.0], ["0", "0", "12346", "3.0000"]),
    ],
)
def test_a_column_has_the_digits_that_its_numbers_need(
    values: list[float], texts: list[str]
) -> None:
    assert numbers(values) == texts


def test_a_spread_has_the_places_of_its_mean() -> None:
    assert spread(0.73712, 0.0123456, digits=4) == "0.7371 ± 0.0123"
    assert spread(4.2e-6, 3.1e-7) == "4.2e-06 ± 3.1e-07"
    assert spread(0.73712, 0.0000001, digits=4) == "0.7371 ± 1e-07"
    assert fraction(-0.001) == "0.00"


def test_scores_that_differ_by_less_than_a_hundredth_of_a_point_look_different() -> None:
    scale = scale_of("val_accuracy", [0.97222, 0.97220])
    assert [scale.score(0.97222), scale.score(0.97220)] == ["97.222 %", "97.220 %"]
    assert scale_of("val_accuracy", [0.97, 0.98]).score(0.97) == "97.00 %"
    assert scale_of("val_accuracy", [0.97, 0.98]).width(4e-7) == "4e-05"
    loss = scale_of("val_loss", [0.123456, 0.123457])
    assert [loss.score(0.123456), loss.score(0.123457)] == ["0.123456", "0.123457"]


def _row(trial: int, value: float, lr: float) -> dict[str, object]:
    params = {"lr": lr}
    return {"trial": trial, "value": value, "epoch": 3, "state": "completed", "params": params} | {
        "metric": "val_loss"
    }


def _printed(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    return out.getvalue()


def test_small_and_near_values_are_told_apart_in_the_table_of_the_best() -> None:
    rows = [_row(0, 4e-6, 0.0123451), _row(1, 5e-6, 0.0123456)]
    shown = _printed(best_table(rows, Metric(name="val_loss", mode="min")))
    assert "4e-06" in shown
    assert "0.0000" not in shown
    assert "lr=0.012345 " in shown
    assert "lr=0.012346 " in shown
    shown = _printed(rows_table(["loss"], [[0.97222], [0.97220], [None]]))
    assert "0.97222" in shown
    assert "0.9722 " in shown


def test_so_they_are_in_the_report() -> None:
    rows = [[0, "completed", 0.9722244], [1, "completed", 0.9722241]]
    table = Table(["trial", "state", "val_accuracy"], rows)
    trials = TrialTable(["trial", "state", "val_accuracy"], rows, sorted=2)
    sections = [Section("A", "a", [table, trials])]
    page = page_of("made", sections).decode()
    assert page.count('<td class="number">0.9722244</td>') == 1
    found = re.search(r'id="trials-data">(.*?)</script>', page)
    assert found is not None
    (held,) = json.loads(found[1])
    assert held["digits"][2] == 7
    assert [row[2] for row in held["rows"]] == [0.9722244, 0.9722241]
    assert markdown_of("made", sections).decode().count("0.9722241") == 2


def test_a_loss_of_four_millionths_is_told_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path, metric={"name": "val_loss"}, budget={"trials": 3})
    while (trial := coordinator.next_trial()) is not None:
        for epoch in range(1, 10):
            losses = {"val_loss": 4e-6 + trial.number * 1e-8, "train_loss": 1e-6}
            if coordinator.report(trial.number, epoch, losses) == "stop":
                break
    leader = coordinator.leader()
    assert leader is not None
    assert "val_loss 4e-06" in leader.line
    coordinator.close()
    told = {}
    for command in (["best"], ["status"], ["compare", "--by", "activation"]):
        assert main([*command, str(tmp_path)]) == 0
        told[command[0]] = capsys.readouterr().out
    assert main(["report", str(tmp_path), "--format", "md"]) == 0
    told["report"] = (tmp_path / "report.md").read_text().partition("## Cost")[0]
    for shown in told.values():
        assert "4e-06" in shown or "4.0" in shown
        assert not re.search(r"\b0\.0+\b", shown)


# Quantities that are no values of a metric: sizes, speeds, times, resources, a file's name.
_OTHERS = {
    "search/tools/doctor.py",
    "search/cli/plan.py",
    "search/plan/rows.py",
    "search/cli/progress.py",
    "search/cli/maintenance.py",
    "search/control/dispatcher.py",
    "search/transport/on_ray/start_faults.py",
    "analysis/bundle/project_files.py",
    "search/transport/on_ray/slots.py",
    "search/transport/packing/measurement.py",
    "search/transport/packing/choice.py",
    "search/tools/on_node.py",
    "trainables/data/own/layout.py",
    "trainables/user_code/logged.py",
    "analysis/report/sections/rest.py",
    "analysis/views/tensorboard.py",
    "spaces/checks.py",
    "spaces/parameters.py",
    "analysis/display/numbers.py",
}


def test_no_other_file_has_a_format_of_its_own_for_numbers() -> None:
    own = re.compile(r":[+ ,<>\d]*(\.\d+[fgeE%]|[gf])\}")
    files = [
        p for part in ("analysis", "search", "trainables") for p in (ROOT / part).rglob("*.py")
    ]
    found = {str(file.relative_to(ROOT)) for file in files if own.search(file.read_text())}
    assert found <= _OTHERS
