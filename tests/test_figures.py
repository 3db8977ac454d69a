import numpy as np
import plotly.graph_objects as go
import pytest
from examples import small_results

from shared_geometry import figures
from shared_geometry.experiment.results import RSM_STEP
from shared_geometry.figures import style
from shared_geometry.theory.simulation import simulate

WHITE, NIGHT = "#ffffff", "#11171d"


@pytest.fixture(scope="module")
def simulated():
    return simulate(3, n_copies=3, n_units=10, points=8, steps=50, side_runs=2, n_resamples=50,
                    noise=(0.0, 1.0))  # fmt: skip


@pytest.fixture
def matrices():
    rng = np.random.default_rng(0)
    return {name: rng.uniform(-1, 1, size=(6, 6)) for name in ("left", "right")}


def linear(colour):
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    """Ratio of WCAG 2."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def cielab(rgb):
    """CIE 1976 L*a*b* of linear sRGB, white D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x = np.array(to_xyz) @ rgb / [0.9505, 1.0, 1.089]
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# What people without one kind of cone see (Viénot, Brettel and Mollon 1999), on linear sRGB.
SIGHT = {
    "full": np.eye(3),
    "no long cones": np.array(
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
    ),
    "no middle cones": np.array(
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
    ),
}


def seen(colour, sight):
    return cielab(np.clip(SIGHT[sight] @ linear(colour), 0, 1))


def test_white_black_and_pure_hues_come_out_of_oklch_right():
    assert style.oklch(1, 0, 0) == "#ffffff"
    assert style.oklch(0, 0, 0) == "#000000"
    assert style.oklch(0.62796, 0.25768, 29.234) == "#ff0000"
    assert style.oklch(0.45201, 0.31321, 264.052) == "#0000ff"


@pytest.mark.parametrize("sight", SIGHT)
def test_the_diverging_scale_is_even_and_its_ends_differ_for_every_eye(sight):
    colours = [colour for _, colour in style.DIVERGING]
    places = [place for place, _ in style.DIVERGING]
    np.testing.assert_allclose(np.diff(places), places[1])
    lightness = np.array([seen(c, sight)[0] for c in colours])
    middle = len(colours) // 2
    assert (np.diff(lightness[: middle + 1]) > 0).all()
    assert (np.diff(lightness[middle:]) < 0).all()
    steps = np.abs(np.diff(lightness))
    assert steps.max() < 2.5 * steps.min()
    assert np.linalg.norm(seen(colours[0], sight) - seen(colours[-1], sight)) > 40


def test_the_sequential_scale_grows_darker_in_even_steps():
    lightness = np.array([seen(colour, "full")[0] for _, colour in style.SEQUENTIAL])
    steps = -np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 2.5 * steps.min()


@pytest.mark.parametrize("colour", [*style.CATEGORIES, style.MUTED])
@pytest.mark.parametrize("page", [WHITE, NIGHT])
def test_lines_stand_out_from_a_light_and_from_a_dark_page(colour, page):
    assert contrast(colour, page) >= (3 if page == WHITE else 2.7)


@pytest.mark.parametrize("sight", SIGHT)
def test_the_first_categories_differ_for_every_eye(sight):
    lab = [seen(colour, sight) for colour in style.CATEGORIES[:4]]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(lab) for b in lab[:i]]
    assert min(apart) > 10


@pytest.mark.parametrize("n", [1, 2, 9, 17])
def test_depth_is_shown_from_light_to_dark_and_every_step_is_visible(n):
    colours = style.depth_colours(n)
    assert len(set(colours)) == n
    lightness = [seen(colour, "full")[0] for colour in colours]
    assert lightness == sorted(lightness, reverse=True)
    assert all(contrast(colour, WHITE) > 2.2 for colour in colours)
    assert all(contrast(colour, NIGHT) > 2.2 for colour in colours)


@pytest.mark.parametrize("n", [1, 4, 10, 100])
def test_every_class_has_a_colour_of_its_own(n):
    assert len(set(style.class_colours(n))) == n


def test_a_faded_colour_keeps_its_hue():
    assert style.faded("#0a80ff", 0.25) == "rgba(10,128,255,0.25)"


def test_long_titles_are_broken_into_lines_that_fit():
    text = "A finding that needs many words to be said in full and so does not fit on a phone"
    lines = style.wrapped(text, 280, 7).split("<br>")
    assert " ".join(lines) == text
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize("width", range(100, 300, 7))
def test_a_number_stays_with_its_sign_where_a_title_is_broken(width):
    lines = style.wrapped("Networks agree with r = 0.77, others explain 66 % of it", width, 7)
    assert "r = 0.77" in lines
    assert "66 %" in lines


def test_a_menu_whose_entries_find_something_else_sets_their_titles_wide_and_narrow():
    entries = [{"label": name, "method": "restyle", "args": [{"visible": [True]}]} for name in "ab"]
    figure = go.Figure(layout={"updatemenus": [style.dropdown(entries)]})
    long = "A finding that needs so many words that it is broken even on a wide screen, and more"
    style.finish(figure, ["short", long])
    small = figure.layout.meta["narrow"]
    for layout in (figure.layout, small):
        first, second = (b["args"][1]["title.text"] for b in layout["updatemenus"][0]["buttons"])
        assert first == layout["title"]["text"] == "short"
        assert second.replace("<br>", " ") == long
        assert layout["margin"]["t"] > 22 * (second.count("<br>") + 1)  # room for the longest
    assert figure.layout.updatemenus[0].buttons[0].args[0] == {"visible": [True]}


def test_panels_show_their_matrices_in_true_units(matrices):
    figure = figures.rsm_panels(matrices, title="a finding", labels=list("aabbcc"))
    for trace, matrix in zip(figure.data, matrices.values(), strict=True):
        np.testing.assert_allclose(trace.z, matrix, atol=1e-6)
        assert trace.meta["step"] == RSM_STEP
    bar = figure.layout.coloraxis.colorbar
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    assert list(bar.tickvals) == [-1, -0.5, 0, 0.5, 1]
    assert list(bar.ticktext) == ["r = −1", "−0.5", "0", "0.5", "1"]
    assert [a.text for a in figure.layout.annotations] == ["left", "right"]


def test_classes_are_named_and_parted_on_the_axes(matrices):
    figure = figures.rsm_panels(matrices, title="t", labels=list("aaabbc"))
    assert list(figure.layout.xaxis.ticktext) == ["a", "b", "c"]
    assert list(figure.data[0].x) == ["a #1", "a #2", "a #3", "b #1", "b #2", "c #1"]
    edges = {s.x0 for s in figure.layout.shapes if s.x0 == s.x1 and s.xref == "x"}
    assert edges == {2.5, 4.5}
    assert {s.xref for s in figure.layout.shapes} == {"x", "x2"}


def test_many_classes_get_no_names_and_no_lines():
    labels = [f"class {i:02d}" for i in range(30)]
    figure = figures.rsm_panels({"only": np.eye(30)}, title="t", labels=labels)
    assert not figure.layout.shapes
    assert not figure.layout.xaxis.showticklabels


def test_zooming_into_one_panel_zooms_into_all(matrices):
    layout = figures.rsm_panels(matrices, title="t", labels=list("aabbcc")).layout
    assert (layout.xaxis2.matches, layout.yaxis2.matches) == ("x", "y")
    for x, y in ((layout.xaxis, layout.yaxis), (layout.xaxis2, layout.yaxis2)):
        assert y.scaleanchor == x.anchor.replace("y", "x")  # square cells
        assert y.autorange == "reversed"


def test_figure_2_draws_every_run_and_its_intervals(simulated):
    figure = figures.figure_2(simulated)
    means = [trace for trace in figure.data if trace.error_y.array is not None]
    dots = [trace for trace in figure.data if trace.error_y.array is None]
    assert len(means) == 2 * 4  # transformations, and what is compared
    places = np.sort(np.concatenate([trace.x for trace in means[:4]]))
    assert np.diff(places).min() > 0.16  # as far as runs are spread
    native = simulated.correlation_interval.sel(
        reading="exact", space="native", transformation="permutation", bound="estimate"
    )
    (drawn,) = (t for t in means[4:] if t.name == "native, exactly")
    np.testing.assert_array_equal(drawn.y, native.sel(measure=["pearson", "kendall"]))
    assert all(len(trace.y) == simulated.sizes["run"] for trace in dots)
    kept = simulated.correlation.sel(
        reading="exact", space="shared", transformation="orthogonal", measure="kendall"
    )
    assert any(np.array_equal(trace.y, kept.values) for trace in dots)


def test_the_simulated_rsms_are_those_of_the_first_run(simulated):
    figure = figures.simulated_rsms(simulated, reading="published", every=4)
    assert figure.layout.coloraxis.colorbar.ticktext[0] == "r = −1"
    exact = figures.simulated_rsms(simulated, reading="exact")
    assert exact.layout.coloraxis.colorbar.ticktext[0] == "cos = −1"
    expected = simulated.rsm.sel(reading="published", transformation="orthogonal")[:, ::4, ::4]
    for trace, matrix in zip(figure.data, expected.values, strict=True):
        np.testing.assert_allclose(trace.z, matrix, atol=1e-6)


def test_the_noise_curves_and_causes_hold_the_simulations_numbers(simulated):
    curves = {trace.name: trace.y for trace in figures.noise_curve(simulated).data}
    for road, y in curves.items():
        expected = simulated.noisy_interval.sel(road=road, bound="estimate")
        np.testing.assert_array_equal(y, expected)
    first = figures.causes(simulated).data[0]
    expected = simulated.changed_interval.sel(
        transformation="orthogonal", measure="pearson", bound="estimate"
    )
    np.testing.assert_array_equal(first.x, expected)
    np.testing.assert_allclose(
        first.x + first.error_x.array,
        simulated.changed_interval.sel(
            transformation="orthogonal", measure="pearson", bound="high"
        ),
    )


def every_figure(simulated):
    results = small_results()
    return [
        figures.training_curves(results),
        figures.class_patterns(results),
        figures.rsm_explorer(results),
        figures.rsm_explorer(results, level="class"),
        figures.rsm_grid(results),
        figures.geometry_over_training(results),
        figures.variance_by_layer(results),
        figures.variance_over_training(results),
        figures.consistency_by_layer(results),
        figures.figure_2(simulated),
        figures.simulated_rsms(simulated),
        figures.noise_curve(simulated),
        figures.causes(simulated),
    ]


def test_every_figure_leaves_page_colours_to_the_page_and_says_its_finding(simulated):
    for figure in every_figure(simulated):
        layout = figure.layout
        assert layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert layout.font.color is None
        assert layout.title.font.color is None
        for axis in figure.select_xaxes():
            assert axis.gridcolor is None
        assert len(layout.title.text) > 15
        assert "$" not in figure.to_json()  # no LaTeX
        assert layout.meta["narrow"]["title"]["text"].replace("<br>", " ") == (
            layout.title.text.replace("<br>", " ")
        )


def test_a_dropdown_and_a_slider_have_room_outside_the_plot():
    plain = style.finish(figures.rsm.go.Figure(), "t")
    topped = figures.rsm.go.Figure()
    topped.update_layout(updatemenus=[style.dropdown([])], sliders=[style.slider(["a"], prefix="")])
    topped = style.finish(topped, "t")
    assert topped.layout.margin.t > plain.layout.margin.t + 30
    assert topped.layout.margin.b > plain.layout.margin.b + 50


def test_a_slider_has_a_step_a_frame_and_begins_where_it_is_told():
    slider = style.slider(["a", "b", "c"], prefix="x ")
    assert [step["args"][0] for step in slider["steps"]] == [["a"], ["b"], ["c"]]
    assert slider["active"] == 2
    assert style.slider(["a", "b"], prefix="", active=0)["active"] == 0
