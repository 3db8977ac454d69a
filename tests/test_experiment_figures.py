import base64
import io

import numpy as np
import pytest
from examples import CHECKPOINTS, CLASSES, small_results
from PIL import Image

from shared_geometry import figures
from shared_geometry.basics.wording import number
from shared_geometry.config import Config
from shared_geometry.datasets import load_dataset
from shared_geometry.figures import style
from shared_geometry.figures.explorer import carried
from shared_geometry.figures.grid import mosaic
from shared_geometry.publishing.pictures import pictures


@pytest.fixture(scope="module")
def results():
    return small_results()


def shown(figure, **properties):
    """Traces that are drawn, among them those with the given properties."""
    traces = [t for t in figure.data if t.visible is not False]
    return [t for t in traces if all(getattr(t, k) == v for k, v in properties.items())]


def test_training_curves_draw_every_networks_accuracy(results):
    figure = figures.training_curves(results)
    drawn = np.array([trace.y for trace in figure.data])
    np.testing.assert_array_equal(drawn, results.test_accuracy.values)
    assert "75.0 %" in figure.layout.title.text


def test_the_top_row_draws_the_final_reading_first(results):
    figure = figures.geometry_over_training(results)
    lines = shown(figure, mode="lines+markers")
    expected = results.geometry_final.sel(space="shared", reading="published", bound="estimate")
    np.testing.assert_array_equal([line.y for line in lines], expected.values)
    assert list(lines[0].x) == [f"{c:g}" for c in CHECKPOINTS]


def test_each_button_of_the_top_row_shows_its_own_reading(results):
    figure = figures.geometry_over_training(results)
    buttons = figure.layout.updatemenus[0].buttons
    seen = []
    for button in buttons:
        visible = button.args[0]["visible"]
        assert len(visible) == len(figure.data)
        lines = [
            t
            for t, on in zip(figure.data, visible, strict=True)
            if on and t.mode == "lines+markers"
        ]
        assert len(lines) == results.sizes["layer"]
        seen.append(tuple(np.concatenate([line.y for line in lines])))
    assert len(set(seen)) == len(buttons) == 4


def test_each_button_of_the_top_row_brings_its_own_title_and_all_its_values_into_view(results):
    low = results.copy()
    low["geometry_current"] = results.geometry_current.where(results.space != "native", -0.75)
    figure = figures.geometry_over_training(low)
    for layout in (figure.layout, figure.layout.meta["narrow"]):
        buttons = layout["updatemenus"][0]["buttons"]
        titles = [button["args"][1]["title.text"].replace("<br>", " ") for button in buttons]
        assert len(set(titles)) == len(titles)
        assert titles[0] == layout["title"]["text"].replace("<br>", " ")
        assert titles[-1] == "Before alignment r is −0.75 at the end"
        for button in buttons:
            shown, changes = button["args"]
            assert button["method"] == "update"
            bottom, top = changes["yaxis.range"]
            pairs = zip(figure.data, shown["visible"], strict=True)
            drawn = np.concatenate([trace.y for trace, on in pairs if on])
            assert bottom <= drawn.min()
            assert drawn.max() <= top
    assert list(figure.layout.yaxis.range) == list(
        figure.layout.updatemenus[0].buttons[0].args[1]["yaxis.range"]
    )


def test_intervals_of_the_top_row_surround_the_line(results):
    figure = figures.geometry_over_training(results)
    band, line = figure.data[0], figure.data[1]
    n = len(CHECKPOINTS)
    high, low = np.array(band.y[:n]), np.array(band.y[n:])[::-1]
    assert (low <= np.array(line.y) + 1e-12).all()
    assert (np.array(line.y) <= high + 1e-12).all()


def test_the_middle_row_draws_four_measures_with_their_intervals(results):
    figure = figures.variance_by_layer(results)
    final = results.variance_interval.isel(checkpoint=-1)
    for trace, measure in zip(figure.data, results.measure.values, strict=True):
        estimate, low, high = final.sel(measure=measure).transpose("bound", "layer").values
        np.testing.assert_array_equal(trace.y, estimate)
        np.testing.assert_allclose(trace.y + trace.error_y.array, high)
        np.testing.assert_allclose(trace.y - trace.error_y.arrayminus, low)


def test_variance_over_training_has_a_line_a_checkpoint(results):
    figure = figures.variance_over_training(results)
    assert [trace.name for trace in figure.data] == [f"epoch {c:g}" for c in CHECKPOINTS]


def test_the_bottom_row_draws_every_pair_once(results):
    figure = figures.consistency_by_layer(results)
    pairs = figure.data[0]
    n = results.sizes["network"]
    assert len(pairs.y) == results.sizes["layer"] * n * (n - 1) / 2


def test_class_patterns_hold_a_frame_a_checkpoint_and_end_at_the_last(results):
    figure = figures.class_patterns(results)
    assert [frame.name for frame in figure.frames] == [f"{c:g}" for c in CHECKPOINTS]
    last = figure.frames[-1]
    for place, then in zip(last.traces, last.data, strict=True):
        np.testing.assert_array_equal(figure.data[place].x, then.x)
    keys = [trace for i, trace in enumerate(figure.data) if i not in last.traces]
    assert [trace.name for trace in keys] == [f"network {i + 1}" for i in range(len(keys))]
    assert {trace.marker.color for trace in keys} == {style.MUTED}
    assert list(figure.data[0].text) == list(CLASSES)


def test_of_many_classes_a_page_carries_some_evenly_spaced(results, monkeypatch):
    monkeypatch.setattr(figures.patterns, "MOST_CLASSES", 2)
    figure = figures.class_patterns(results)
    assert list(figure.data[0].text) == [CLASSES[0], CLASSES[-1]]
    assert {len(trace.x) for frame in figure.frames for trace in frame.data} == {2}
    monkeypatch.undo()
    whole = figures.class_patterns(results)
    assert figure.layout.title.text == whole.layout.title.text  # which speaks of all of them
    np.testing.assert_array_equal(figure.data[0].x, whole.data[0].x[[0, -1]])


def test_turning_frames_for_the_eye_keeps_all_distances(results):
    figure = figures.class_patterns(results, layer="dense")
    frame = figure.frames[0].data[0]
    drawn = np.stack([frame.x, frame.y, frame.z], 1)
    true = results.patterns.sel(layer="dense", space="native").isel(checkpoint=0, network=0).values
    np.testing.assert_allclose(
        np.linalg.norm(drawn[:, None] - drawn, axis=-1),
        np.linalg.norm(true[:, None] - true, axis=-1),
        atol=1e-5,
    )


@pytest.mark.parametrize("level", ["image", "class"])
def test_the_explorer_has_a_frame_for_every_layer_and_checkpoint(results, level):
    figure = figures.rsm_explorer(results, level=level)
    names = {frame.name: frame for frame in figure.frames}
    assert len(names) == results.sizes["layer"] * results.sizes["checkpoint"]
    chosen = results.sel(layer="dense", checkpoint=0.5, reading="published")
    for trace, kind in zip(names["dense | 0.5"].data, results.kind.values, strict=True):
        expected = chosen[f"rsm_{level}"].sel(kind=kind).clip(-1, 1)
        np.testing.assert_allclose(trace.z, expected, atol=1e-6)
    meta = figure.layout.meta
    assert set(meta["headings"]) == set(names)
    value = float(chosen.geometry_current.sel(space="shared", bound="estimate"))
    assert meta["headings"]["dense | 0.5"][2] == f"between, aligned: r = {number(value)}"


@pytest.mark.parametrize("level", ["image", "class"])
def test_the_explorer_begins_with_the_deepest_layer_at_the_end_and_says_what_was_found(
    results, level
):
    figure = figures.rsm_explorer(results, level=level)
    names = {frame.name: frame for frame in figure.frames}
    first = names[" | ".join(figure.layout.meta["frame"])]
    last = results.isel(layer=-1, checkpoint=-1).sel(reading="published")
    for trace, frame, kind in zip(figure.data, first.data, results.kind.values, strict=True):
        np.testing.assert_array_equal(trace.z, frame.z)
        expected = last[f"rsm_{level}"].sel(kind=kind).clip(-1, 1)
        np.testing.assert_allclose(trace.z, expected, atol=1e-6)
    value = float(last.geometry_current.sel(space="shared", bound="estimate"))
    assert f"r = {number(value)}" in figure.layout.title.text


def test_without_a_page_each_control_of_the_explorer_shows_a_frame_that_is_there(results):
    figure = figures.rsm_explorer(results)
    names = {frame.name for frame in figure.frames}
    controls = (*figure.layout.updatemenus[0].buttons, *figure.layout.sliders[0].steps)
    assert {control.args[0][0] for control in controls} <= names
    assert all(control.method == "animate" for control in controls)


@pytest.mark.parametrize(
    ("layers", "checkpoints", "classes"), [(3, 14, 10), (9, 16, 100), (3, 12, 100), (2, 2, 1000)]
)
def test_the_explorer_keeps_the_ends_and_the_weight_of_a_page(layers, checkpoints, classes):
    cells = 3 * classes**2
    most = 40_000
    some, steps = carried(layers, checkpoints, cells, most)
    assert some[0] == steps[0] == 0
    assert (some[-1], steps[-1]) == (layers - 1, checkpoints - 1)
    assert len(some) * len(steps) * cells <= most or len(some) == len(steps) == 2


def test_the_explorer_carries_the_pictures_of_free_images_in_the_order_of_its_rows():
    config = Config.from_preset("smoke", dataset="digits")
    data = load_dataset("digits")
    results = small_results()
    results.attrs["config"] = config.to_json()
    some = results.assign_coords(image=np.arange(10, 10 + results.sizes["image"]))
    figure = figures.rsm_explorer(some, pictures=pictures(some))
    for address, i in zip(figure.layout.meta["pictures"], some.image.values, strict=True):
        png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(png))), data.test.images[i, 0]
        )
    results.attrs["config"] = Config.from_preset("smoke", dataset="cifar10").to_json()
    assert pictures(results) is None


def test_a_mosaic_puts_every_matrix_in_its_place():
    tiles = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    whole = mosaic(tiles, gap=2)
    assert whole.shape == (2 * 4 + 2, 3 * 5 + 2 * 2)
    np.testing.assert_array_equal(whole[6:10, 7:12], tiles[1, 1])
    assert np.isnan(whole[4:6]).all()
    assert np.isnan(whole).sum() == whole.size - tiles.size


def test_the_grid_draws_each_kind_at_every_layer_and_checkpoint(results):
    figure = figures.rsm_grid(results)
    for trace, kind in zip(figure.data, results.kind.values, strict=True):
        cells = {
            (y, x): value
            for y, row in zip(trace.y, trace.z, strict=True)
            for x, value in zip(trace.x, row, strict=True)
            if not np.isnan(value)
        }
        expected = results.rsm_class.sel(kind=kind, reading="published")
        assert len(cells) == expected.size
        one, other = CLASSES[0], CLASSES[-1]
        value = float(
            expected.sel(layer="dense", checkpoint=0.5, **{"class": one, "class_": other})
        )
        assert cells[f"{one}, dense", f"{other}, epoch 0.5"] == pytest.approx(
            np.clip(value, -1, 1), abs=1e-6
        )
    assert [trace.visible for trace in figure.data] == [False, False, True]
    for button in figure.layout.updatemenus[0].buttons:
        (shown,) = np.flatnonzero(button.args[0]["visible"])
        assert figure.data[shown].name == button.label


def test_intervals_that_two_networks_leave_open_are_not_drawn(results):
    pair = results.isel(network=[0, 1])
    pair["geometry_final"] = pair.geometry_final.where(pair.bound != "low", -1.0)
    figure = figures.geometry_over_training(pair)
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    lines = [trace for trace in figure.data if trace.fill is None]
    assert len(bands) == len(lines)
    for band, line in zip(bands, lines, strict=True):
        assert set(band.y) <= set(np.float32(line.y))
    assert min(figure.data[0].y) > -1
    for figure in (figures.variance_by_layer(pair), figures.consistency_by_layer(pair)):
        bars = [trace.error_y for trace in figure.data if trace.error_y.array is not None]
        assert bars
        assert all(not np.any([bar.array, bar.arrayminus]) for bar in bars)


def test_the_accuracy_after_one_epoch_is_seen(results):
    (of_one,) = {t.mode for t in figures.training_curves(results.isel(epoch=[0])).data}
    (of_all,) = {t.mode for t in figures.training_curves(results).data}
    assert (of_one, of_all) == ("markers", "lines")
