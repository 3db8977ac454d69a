import numpy as np

from shared_geometry.basics.wording import (
    in_a_sentence,
    interval_text,
    layer_name,
    moment,
    number,
    power_of_ten,
    span,
)


def test_an_interval_in_a_sentence_has_real_minus_signs_and_no_minus_zero():
    assert interval_text([-0.001, -0.25, 0.3]) == "0.00 [−0.25, 0.30]"


def test_numbers_are_told_by_the_smallest_and_the_largest_of_them():
    assert span([0.3, float("nan"), -0.25]) == "−0.25 to 0.30"
    assert span([0.501, 0.499]) == "0.50"
    assert span([float("nan")]) == "no number"
    assert span(np.array([[0.1, 0.2], [np.nan, 0.4]]), 1) == "0.1 to 0.4"


def test_where_there_is_no_number_there_is_a_dash():
    assert number(float("nan")) == "–"
    assert interval_text([float("nan")] * 3) == "–"


def test_digits_can_be_chosen():
    assert number(0.84751, 3) == "0.848"


def test_a_layer_that_has_no_name_of_its_own_is_numbered():
    assert [layer_name(label) for label in ("pool1", "17")] == ["first pooling", "layer 17"]
    assert in_a_sentence("dense") == "the dense layer"
    assert in_a_sentence("17") == "layer 17"


def test_only_epoch_0_is_before_training():
    assert [moment(epoch) for epoch in (0.0, 0.5, 12.0)] == [
        "before training", "at epoch 0.5", "at epoch 12"
    ]  # fmt: skip


def test_a_small_number_is_told_by_its_power_of_ten():
    assert power_of_ten(3.2e-15) == "3 × 10⁻¹⁵"
    assert power_of_ten(1e-10) == "10⁻¹⁰"
    assert power_of_ten(0) == "0"
    assert power_of_ten(float("nan")) == "–"
