from __future__ import annotations

from analysis.display.scale import scale_of
from analysis.insight.configurations import params_key


def test_an_accuracy_from_0_to_1_is_shown_in_per_cent_and_its_differences_in_points() -> None:
    scale = scale_of("val_accuracy", [0.97, 0.985])
    assert (scale.score(0.9769), scale.width(0.0023)) == ("97.69 %", "0.23")
    assert scale.score(1.015) == "101.50 %"  # an interval may pass what is possible
    assert scale.span(0.8388, 1.015) == "83.88 to 101.50 %"
    assert scale.unit == " points"


def test_an_accuracy_in_per_cent_and_a_loss_are_shown_as_they_are() -> None:
    for scale in (scale_of("val_accuracy", [97.1, 0.9]), scale_of("val_loss", [0.2])):
        assert (scale.score(97.4), scale.width(0.334)) == ("97.4", "0.334")
        assert scale.unit == ""


def test_a_configuration_is_the_same_with_1_and_1_point_0_but_not_with_true() -> None:
    assert params_key({"lr": 1, "norm": None}) == params_key({"norm": None, "lr": 1.0})
    assert params_key({"lr": 1}) != params_key({"lr": True})
