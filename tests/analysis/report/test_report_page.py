"""The report in a real browser: it is drawn, sorted, filtered, turned dark, printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.record.folder import RunFolder
from analysis.report.build import build_report, write_report
from tests.support import examples
from tests.support.browser import Browser
from tests.support.reports import HOSTILE, many, whole_run

COLUMN = "[...document.querySelectorAll('.trials tbody tr')].map(row => row.cells[{}].textContent)"
HEADER = "document.querySelectorAll('.trials th button')[{}]"
VALUE = 2  # the column of the metric


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with 16 trials in every state but running."""
    folder = tmp_path_factory.mktemp("run")
    coordinator = whole_run(folder)
    report = build_report(RunFolder(folder), coordinator.experiment, coordinator.trials)
    write_report(report, folder / "report.html")
    return folder / "report.html"


def filtered(browser: Browser, text: str) -> list[int]:
    """The numbers of the trials that are left, in their order on the page."""
    browser.value(
        "{ const box = document.querySelector('.trials input'); "
        f"box.value = {text!r}; box.dispatchEvent(new Event('input')); }}"
    )
    return [int(number) for number in browser.value(COLUMN.format(0))]


def test_every_figure_is_drawn_without_an_error_and_nothing_is_loaded(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    drawn = browser.value(
        "[...document.querySelectorAll('.plot')].filter(p => !p.closest('[hidden]')).map(place => "
        "place.querySelectorAll('.scatterlayer .trace, .heatmaplayer .hm').length)"
    )
    assert len(drawn) == 9
    assert min(drawn) > 0
    heights = browser.value(
        "[...document.querySelectorAll('.plot .main-svg')].map(s => s.clientHeight)"
    )
    assert min(heights) > 150
    assert browser.errors == []
    loaded = [uri for uri in browser.requests if not uri.startswith("data:")]  # a heat map is one
    assert loaded == [page.as_uri()]


def test_effects_are_of_the_first_rung_until_another_is_chosen(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    captions = (
        "[...document.querySelectorAll('#effects p.note')].filter(p => p.offsetParent)"
        ".map(p => p.textContent)"
    )
    (caption,) = browser.value(captions)
    assert "epoch 1, which all trials reach" in caption
    choice = "document.querySelector('#effects select')"
    assert browser.value(f"[...{choice}.options].map(option => option.text)")[:2] == [
        "epoch 1",
        "epoch 3",
    ]
    browser.value(f"{choice}.selectedIndex = 1, {choice}.dispatchEvent(new Event('change'))")
    (caption,) = browser.value(captions)
    assert "Values at epoch 3" in caption
    assert "survivors" in caption
    drawn = (
        "[...document.querySelectorAll('#effects .view:not([hidden]) .plot')]"
        ".filter(plot => plot.querySelector('.scatterlayer .trace')).length"
    )
    browser.wait(f"{drawn} === 2")
    widths = browser.value(
        "[...document.querySelectorAll('#effects .view:not([hidden]) .main-svg')]"
        ".map(s => s.clientWidth)"
    )
    assert min(widths) > 150
    assert browser.errors == []


def test_a_click_on_a_header_sorts_and_another_turns_the_order(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    best_first = [float(text) for text in browser.value(COLUMN.format(VALUE)) if text]
    assert best_first == sorted(best_first, reverse=True)
    assert len(best_first) == 14
    assert browser.value(COLUMN.format(VALUE))[-2:] == ["", ""]  # without a value: last
    browser.value(HEADER.format(VALUE) + ".click()")
    assert [float(t) for t in browser.value(COLUMN.format(VALUE)) if t] == best_first[::-1]
    assert browser.value(COLUMN.format(VALUE))[-2:] == ["", ""]
    browser.value(HEADER.format(0) + ".click()")
    assert browser.value(COLUMN.format(0)) == [str(number) for number in range(16)]
    browser.value(HEADER.format(0) + ".click()")
    assert browser.value(COLUMN.format(0)) == [str(number) for number in reversed(range(16))]
    browser.value(HEADER.format(0) + ".click()")
    assert browser.value(HEADER.format(0) + ".parentElement.ariaSort") == "ascending"
    assert browser.errors == []


def test_columns_of_numbers_stand_on_the_right(browser: Browser, page: Path) -> None:
    browser.open(page)
    names = browser.value(
        "[...document.querySelectorAll('.trials th.number')].map(th => th.textContent)"
    )
    assert names == ["trial", "val_accuracy", "epochs", "seconds", "lr"]


def test_the_filter_takes_words_and_conditions(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert filtered(browser, "diverged") == [3]
    assert filtered(browser, "state=failed") == [4]
    assert filtered(browser, "trial<3 state=completed") != []
    assert set(filtered(browser, "trial<3")) == {0, 1, 2}
    assert filtered(browser, "no such thing") == []
    assert len(filtered(browser, "")) == 16


def test_the_toggle_and_the_system_turn_the_figures_dark(browser: Browser, page: Path) -> None:
    browser.open(page)
    ink = "document.querySelector('.plot')._fullLayout.font.color"
    light = browser.value(ink)
    browser.emulate(prefers_color_scheme="dark")
    browser.wait(f"{ink} !== '{light}'")
    dark = browser.value(ink)
    assert browser.value("getComputedStyle(document.documentElement).backgroundColor") == (
        "rgb(20, 24, 28)"
    )
    browser.value("document.getElementById('theme').click()")
    browser.wait(f"{ink} === '{light}'")
    browser.emulate()
    browser.value("document.getElementById('theme').click()")
    browser.wait(f"{ink} === '{dark}'")
    assert browser.errors == []


def test_a_switch_makes_an_axis_logarithmic(browser: Browser, page: Path) -> None:
    browser.open(page)
    kind = "document.querySelectorAll('.plot')[1]._fullLayout.xaxis.type"
    assert browser.value(kind) == "linear"
    browser.value("document.querySelectorAll('.plot')[1].closest('figure')"
                  ".querySelector('.switches button').click()")  # fmt: skip
    browser.wait(f"{kind} === 'log'")
    assert browser.errors == []


def test_on_paper_figures_are_white_and_no_wider_than_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.emulate(prefers_color_scheme="dark")
    browser.value(
        "document.documentElement.dataset.drawn = 'before'; dispatchEvent(new Event('beforeprint'))"
    )
    browser.wait("document.documentElement.dataset.drawn !== 'before'")
    widths = browser.value(
        "[...document.querySelectorAll('.plot')].filter(p => !p.closest('[hidden]'))"
        ".map(p => p._fullLayout.width)"
    )
    assert max(widths) <= 680
    assert browser.value("document.querySelector('.plot')._fullLayout.font.color") == "#1c2126"
    browser.value("dispatchEvent(new Event('afterprint'))")
    browser.wait("document.querySelector('.plot')._fullLayout.width > 680")
    browser.emulate()
    browser.pdf(page.with_name("report.pdf"))
    assert page.with_name("report.pdf").read_bytes().startswith(b"%PDF")
    assert browser.errors == []


def test_in_a_window_that_changes_its_width_no_legend_covers_a_figure(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    room = (
        "(plot => plot._fullLayout._size.t - plot.querySelector('.legend').getBBox().height)"
        "(document.querySelector('.plot'))"
    )
    top = (
        "(plot => plot.querySelector('.legend').getBoundingClientRect().top"
        " - plot.getBoundingClientRect().top)(document.querySelector('.plot'))"
    )
    for width in (400, 1100):
        browser.resize(width)
        browser.wait(f"document.querySelector('.plot')._fullLayout.width > {width - 130}")
        browser.wait(f"document.querySelector('.plot')._fullLayout.width < {width}")
        assert browser.value(top) <= 1
        assert browser.value(room) >= 0
        assert browser.value("document.documentElement.scrollWidth") <= width


def test_in_no_window_does_the_toolbar_cover_a_legend_or_is_a_caption_cut(
    browser: Browser, page: Path
) -> None:
    browser.open(page)
    covered = (
        "[...document.querySelectorAll('.plot')].filter(plot => {"
        " const [bar, legend] = ['.modebar', '.legend'].map(name => plot.querySelector(name)"
        "?.getBoundingClientRect());"
        " return bar?.width && legend?.width && bar.left < legend.right && legend.left < bar.right"
        " && bar.top < legend.bottom && legend.top < bar.bottom; }).length"
    )
    cut = (
        "[...document.querySelectorAll('figcaption, p, h2, caption')]"
        ".filter(text => text.getBoundingClientRect().right > innerWidth"
        " || text.closest('.frame')).map(text => text.textContent)"
    )
    for width in (500, 400, 700, 850, 1100):
        browser.resize(width)
        browser.wait(f"document.querySelector('.plot')._fullLayout.width > {min(width, 985) - 130}")
        browser.wait(f"document.querySelector('.plot')._fullLayout.width < {width}")
        assert browser.value(covered) == 0, width
        assert browser.value(cut) == [], width
    assert browser.value("document.querySelectorAll('.modebar').length") > 0


@pytest.mark.slow
def test_of_ten_thousand_trials_the_page_holds_fifty_rows(browser: Browser, tmp_path: Path) -> None:
    experiment, trials = many(10_000, 3)
    write_report(build_report(RunFolder(tmp_path), experiment, trials), tmp_path / "many.html")
    browser.open(tmp_path / "many.html")
    assert len(browser.value(COLUMN.format(0))) == 50
    assert browser.value("document.querySelector('.controls span').textContent") == (
        "1 to 50 of 10000"
    )
    browser.value(HEADER.format(0) + ".click()")
    browser.value("document.querySelector('[aria-label=\"Rows after\"]').click()")
    assert browser.value(COLUMN.format(0)) == [str(number) for number in range(50, 100)]
    assert browser.errors == []


def test_hostile_texts_do_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {}\n")
    coordinator = examples.own_code_coordinator(
        tmp_path,
        question=HOSTILE,
        space={HOSTILE[:80]: [HOSTILE, "b"], "__proto__": {"low": 0.0, "high": 1.0}},
        metric={"name": "--" + HOSTILE, "mode": "max"},
        budget={"trials": 4},
    )
    for number in range(4):
        coordinator.next_trial()
        coordinator.report(number, 1, {"--" + HOSTILE: number / 10})
        coordinator.end(number, "failed" if number == 3 else "completed", HOSTILE)
    report = build_report(RunFolder(tmp_path), coordinator.experiment, coordinator.trials)
    write_report(report, tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert browser.value("typeof hacked") == "undefined"
    assert browser.value("document.images.length") == 0
    assert HOSTILE in browser.value("document.querySelector('.trials').textContent")
    title = "document.querySelector('.plot')._fullLayout.yaxis.title.text"
    assert browser.value(title).startswith("--&lt;/script")
    assert browser.errors == []
