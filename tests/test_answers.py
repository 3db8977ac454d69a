import numpy as np
import pytest
import xarray as xr

from shared_geometry.errors import InputError
from shared_geometry.figures import curves


def values(dim, places, shift=0.0):
    estimate = np.linspace(0.2, 0.8, len(places)) + shift
    bounds = np.stack([estimate, estimate - 0.1, estimate + 0.2], 1)
    coords = {dim: places, "bound": ["estimate", "low", "high"]}
    return xr.DataArray(bounds, coords, (dim, "bound"))


TWO = {
    "ConvNet": {"rotation": values("layer", ["pool1", "dense"])},
    "ResNet18": {"rotation": values("layer", ["1", "2", "3"]), "none": values("layer", ["1"])},
}


def test_one_population_has_no_menu_and_its_intervals():
    figure = curves({"ConvNet": TWO["ConvNet"]}, "Found", x=None, y="variance explained")
    (curve,) = figure.data
    assert not figure.layout.updatemenus
    assert list(curve.x) == ["first pooling", "dense"]
    np.testing.assert_allclose(curve.error_y.array, 0.2)
    np.testing.assert_allclose(curve.error_y.arrayminus, 0.1)


def test_the_menu_shows_the_curves_of_one_population():
    figure = curves(TWO, "Found", x=None, y="variance explained", dotted=["none"])
    assert [t.visible for t in figure.data] == [True, False, False]
    (menu,) = figure.layout.updatemenus
    assert [b.label for b in menu.buttons] == list(TWO)
    assert menu.buttons[1].args[0]["visible"] == [False, True, True]
    assert [t.line.dash for t in figure.data] == ["solid", "solid", "dot"]


def test_each_population_may_bring_a_title_of_its_own():
    figure = curves(TWO, ["Found here", "Found there"], x=None, y="variance explained")
    (menu,) = figure.layout.updatemenus
    assert [b.args[1]["title.text"] for b in menu.buttons] == ["Found here", "Found there"]
    assert menu.buttons[1].args[0]["visible"] == [False, True, True]
    assert curves({"a": TWO["ConvNet"]}, ["Found"], x=None, y="y").layout.title.text == "Found"


def test_sizes_and_epochs_are_written_as_numbers():
    curve = curves({"a": {"b": values("k", [1.0, 2.5, 10.0])}}, "Found", x="k", y="y").data[0]
    assert list(curve.x) == ["1", "2.5", "10"]


def test_values_without_bounds_have_no_bars():
    plain = values("k", [1, 2]).sel(bound="estimate")
    assert curves({"a": {"b": plain}}, "Found", x="k", y="y").data[0].error_y.array is None


def test_on_a_logarithmic_axis_small_values_are_drawn_on_its_floor_and_told_as_they_are():
    small = values("epoch", [0, 1, 8])
    small[:] = [[1e-3, 1e-4, 2e-3], [1e-7, 1e-9, 1e-6], [1e-36, 1e-37, 1e-36]]
    figure = curves({"a": {"b": small}}, "Found", x="epoch", y="y", floor=1e-8)
    (curve,) = figure.data
    assert figure.layout.yaxis.type == "log"
    np.testing.assert_allclose(curve.y, [1e-3, 1e-7, 1e-8])
    np.testing.assert_allclose(curve.customdata, [1e-3, 1e-7, 1e-36])
    np.testing.assert_allclose(curve.y - curve.error_y.arrayminus, [1e-4, 1e-8, 1e-8])
    assert "customdata" in curve.hovertemplate


def test_no_population_is_refused():
    with pytest.raises(InputError, match="empty"):
        curves({}, "Found", x=None, y="y")
