"""How many trials share a GPU, from measurements that are made up."""

from __future__ import annotations

import pytest

from analysis.record.gpu_load import Load
from search.transport.packing.choice import Choice, choose, next_number, sentence

GB = 10**9


def loads(*rates: float, gigabytes: float | None = None, taken: float = 0.0) -> list[Load]:
    """Of 1, 2, 4, … trainings, each of which takes so much of 80 GB; others have ``taken`` some."""
    made = []
    for power, rate in enumerate(rates):
        trials = 2**power
        used = None if gigabytes is None else round((taken + trials * gigabytes) * GB)
        total = None if used is None else 80 * GB
        made.append(Load(trials=trials, rate=rate, used_bytes=used, total_bytes=total))
    return made


def measured(rates: list[float], most: int, gigabytes: float) -> Choice:
    """What is chosen where so many trainings have that throughput, by their number."""
    found: list[Load] = []
    while (number := next_number(found, most)) is not None:
        used = round(number * gigabytes * GB)
        held = Load(trials=number, rate=rates[number - 1], used_bytes=used, total_bytes=80 * GB)
        found.append(held)
    return choose(found, most)


@pytest.mark.parametrize(
    ("found", "most", "number"),
    [
        (loads(), 8, 1),
        (loads(), 1, None),
        (loads(100), 8, 2),
        (loads(100), 3, 2),
        (loads(100, 190), 3, 3),
        (loads(100, 190, 370), 4, None),
        (loads(100, 104), 8, None),
        (loads(100, gigabytes=30), 8, 2),
        (loads(100, gigabytes=40), 8, None),
        (loads(100, 200, gigabytes=12), 8, 4),
        (loads(100, 200, gigabytes=20), 8, 3),
        (loads(100, 200, gigabytes=10, taken=30), 8, 4),
    ],
)
def test_twice_as_many_are_measured_as_long_as_that_promises_something(
    found: list[Load], most: int, number: int | None
) -> None:
    assert next_number(found, most) == number


def test_the_number_stops_growing_where_more_train_hardly_more_together() -> None:
    rates = [100.0, 195.0, 0.0, 380.0, 0.0, 0.0, 0.0, 390.0]
    assert measured(rates, 8, 1.0) == Choice(4, "8 together train only 3% more")
    rates[7] = 300.0
    assert measured(rates, 8, 1.0) == Choice(4, "8 together train no more")


def test_it_fills_ninety_percent_of_the_memory_and_no_more() -> None:
    rates = [100.0 * number for number in range(1, 33)]
    full = "more would fill over 90% of its memory"
    assert measured(rates, 32, 10.0) == Choice(7, full)
    assert measured(rates, 32, 36.0) == Choice(2, full)
    assert measured(rates, 32, 36.1) == Choice(1, full)


def test_more_than_was_foreseen_is_not_taken() -> None:
    found = [
        Load(trials=1, rate=100, used_bytes=20 * GB, total_bytes=80 * GB),
        Load(trials=2, rate=200, used_bytes=73 * GB, total_bytes=80 * GB),
    ]
    assert next_number(found, 8) is None
    assert choose(found, 8) == Choice(1, "2 fill over 90% of its memory")


def test_the_cpus_and_a_fixed_limit_bound_it() -> None:
    rates = [100.0 * number for number in range(1, 33)]
    assert measured(rates, 6, 1.0) == Choice(6, "the CPUs are enough for no more")
    assert measured(rates, 32, 1.0) == Choice(32, "more are not tried")
    assert measured(rates, 1, 1.0) == Choice(1, "the CPUs are enough for no more")


def test_what_came_in_between_is_told_and_what_was_measured_counts() -> None:
    assert choose([], 8, "with 1, one ended: ValueError") == Choice(
        1, "with 1, one ended: ValueError"
    )
    assert choose(loads(100, 190), 8, "its process died") == Choice(2, "its process died")


def test_the_choice_is_told_in_a_line_with_what_was_measured() -> None:
    assert sentence(Choice(1, "why"), []) == "one trial has each GPU: why"
    found = loads(100, 190)
    told = "2 trials share each GPU: why (steps or reports a second: 100 with 1, 190 with 2)"
    assert sentence(Choice(2, "why"), found) == told
