import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.linalg import orthogonal_procrustes

from shared_geometry import figures
from shared_geometry.beyond.across import common_space, layer_maps, partners
from shared_geometry.beyond.across import study as across
from shared_geometry.beyond.across.partners import (
    HALVES,
    normalised,
    only_classes,
    populations,
    recorded,
)
from shared_geometry.beyond.studies import load_study, study, study_path
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.config import Config
from shared_geometry.datasets import load_dataset
from shared_geometry.errors import InputError
from shared_geometry.experiment.plan import plan
from shared_geometry.figures import across as across_figures
from shared_geometry.networks.activations import layer_sizes
from shared_geometry.networks.architectures import WIDTHS, build_network
from shared_geometry.reports import across as across_report
from shared_geometry.rsa import compare_rsms, rsm
from shared_geometry.similarity.moments import as_centred, together
from shared_geometry.theory.toys import rotations


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def network(response, units, seed, noise=0.0):
    """A network of so many units that turns a response (k, images) into activity; half held out."""
    basis = rotations(1, units, generator(seed))[0].double()[:, : len(response)]
    x = basis @ response + noise * normal(units, response.shape[1], seed=seed + 1)
    half = x.shape[1] // 2
    return normalised(x[:, :half], x[:, half:])


def fading(k=8, images=800, seed=0):
    return torch.arange(1, k + 1, dtype=torch.float64)[:, None] ** -0.75 * normal(
        k, images, seed=seed
    )


# Widths.


def weights_digest(architecture):
    digest = hashlib.sha256()
    for stem, number in (("imagenet", 0), ("imagenet", 3), ("cifar", 0)):
        module = build_network(
            architecture,
            in_channels=3,
            image_size=32,
            n_classes=10,
            stem=stem,
            seed=7,
            network=number,
        )
        for name, values in module.state_dict().items():
            digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()[:16]


def test_the_papers_networks_begin_with_the_weights_that_they_had_before_there_were_widths():
    assert weights_digest("convnet") == "df434ee0d3725389"
    assert weights_digest("resnet18") == "02db14c6e24149fd"


@pytest.mark.parametrize(("architecture", "width"), WIDTHS.items())
def test_a_width_multiplies_every_hidden_layer_and_no_other(architecture, width):
    module = build_network(architecture, in_channels=3, image_size=32, n_classes=10)
    sizes = layer_sizes(module, (3, 32, 32))
    papers = {"pool1": 32 * 15 * 15, "pool2": 64 * 6 * 6, "dense": 512}
    assert sizes == {**{k: width * v for k, v in papers.items()}, "logits": 10}


# Layers.


def moments_of(source, target):
    return together(as_centred(target), as_centred(source))


def test_for_equal_sizes_the_map_is_scipys_rotation():
    a, b = normal(6, 40), normal(6, 40, seed=1)
    oracle, _ = orthogonal_procrustes(a.T.numpy(), b.T.numpy())
    np.testing.assert_allclose(layer_maps.semi_orthogonal(moments_of(a, b)), oracle.T, atol=1e-10)


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 7), (7, 4)])
def test_for_other_sizes_the_smaller_dimension_is_orthonormal_and_no_other_map_agrees_more(
    n_a, n_b
):
    fit = moments_of(normal(n_a, 50), normal(n_b, 50, seed=1))
    m = layer_maps.semi_orthogonal(fit)
    small = m.T @ m if n_b > n_a else m @ m.T
    torch.testing.assert_close(small, torch.eye(4, dtype=torch.float64))
    # the maximum of <M, C> is the sum of C's singular values
    best = torch.linalg.svdvals(fit.xy).sum()
    torch.testing.assert_close((m * fit.xy).sum(), best)
    torch.testing.assert_close(layer_maps.semi_orthogonal(fit.reversed()), m.T)


def test_layers_of_two_sizes_that_show_one_response_explain_each_other_in_full():
    response = fading()
    small, large = (
        layer_maps.layer(network(response, units, seed)) for units, seed in ((8, 1), (20, 2))
    )
    assert layer_maps.explained(small, large).item() == pytest.approx(1, abs=1e-10)
    other = layer_maps.layer(network(fading(seed=5), 20, 3))
    assert abs(layer_maps.explained(small, other).item()) < 0.05


def test_what_a_smaller_network_cannot_hold_of_a_larger_one_is_not_explained():
    response = normal(20, 4000)
    small = layer_maps.layer(normalised(response[:5, :2000], response[:5, 2000:]))
    large = layer_maps.layer(normalised(response[:, :2000], response[:, 2000:]))
    # 5 of 20 equal directions one way, all of them the other
    assert layer_maps.explained(small, large).item() == pytest.approx((5 / 20 + 1) / 2, abs=0.02)


def test_the_table_holds_both_measures_of_every_two_layers():
    splits = [network(fading(seed=s), units, s, 0.05) for s, units in ((0, 9), (1, 12), (2, 15))]
    layers = [layer_maps.layer(split) for split in splits]
    found = layer_maps.table(layers[:2], layers)
    assert found.shape == (2, 2, 3)
    assert found[0, 1, 2] == layer_maps.explained(layers[1], layers[2])
    expected = compare_rsms(rsm(splits[1].held_out), rsm(splits[2].held_out))
    assert found[1, 1, 2].item() == pytest.approx(expected, abs=1e-10)
    assert found[1, 0, 0].item() == pytest.approx(1)


def test_matches_are_those_of_the_deeper_network_and_their_order_is_a_rank_correlation():
    rising = torch.tensor([[0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.9, 0.3], [0.2, 0.1, 0.3, 0.9]])
    assert layer_maps.best_match(rising) == [(0, 0), (0, 1), (1, 2), (2, 3)]
    assert layer_maps.depth_order(rising) == layer_maps.depth_order(rising.T) > 0.9
    assert layer_maps.depth_order(rising.flip(0)) < -0.9
    assert layer_maps.depth_order(torch.eye(3)) == pytest.approx(1)
    assert layer_maps.depth_order(torch.tensor([[1.0, 0.0], [1.0, 0.0]])) == 0


# Spaces.


def test_networks_of_any_size_that_show_one_response_share_a_space():
    response = fading()
    everyone = [[network(response, units, 10 * units + i) for i in range(3)] for units in (8, 20)]
    for values in (
        common_space.exchanged(everyone, 8),
        common_space.in_common(everyone, 8),
        common_space.in_common(everyone, 8, equally_many=True),
    ):
        torch.testing.assert_close(values, torch.ones_like(values), atol=1e-6, rtol=0)


def test_a_network_takes_no_part_in_its_own_prediction():
    everyone = [[network(fading(seed=i), 8, i) for i in range(3)]]  # nothing is shared
    assert (common_space.exchanged(everyone, 8) < 0.02).all()
    assert (common_space.in_common(everyone, 8) < 0.02).all()


def test_a_space_explains_what_is_predicted_by_the_mean_of_the_others_written_out():
    networks = [network(fading(), 10, i, 0.2) for i in range(4)]
    made = common_space.space(networks, 6)
    x, s = networks[0], made.alignment[1:].mean(0)
    u, _, vt = torch.linalg.svd(x.alignment @ s.T, full_matrices=False)
    rest = x.held_out - u @ vt @ made.held_out[1:].mean(0)
    expected = 1 - rest.square().sum() / x.held_out.square().sum()
    found = common_space.exchanged([networks], 6)[0, 0, 0]
    assert found.item() == pytest.approx(expected.item(), abs=1e-10)
    assert 0.3 < found < 0.99


def apart(n=4):
    """Two populations that share nothing with each other."""
    return [[network(fading(seed=p), 12, 10 * p + i, 0.05) for i in range(n)] for p in range(2)]


def test_where_populations_share_nothing_a_space_of_another_explains_nothing():
    exchange = common_space.exchanged(apart(), 12).mean(2)
    assert (exchange.diagonal() > 0.8).all()
    assert exchange[0, 1] < 0
    assert exchange[1, 0] < 0


def test_shuffled_populations_keep_what_is_shared_within_and_lose_what_is_shared_between():
    one = [[network(fading(), 12, 10 * p + i, 0.05) for i in range(3)] for p in range(2)]
    before, after = (
        common_space.exchanged(p, 12).mean(2) for p in (one, common_space.shuffled(one, 0))
    )
    torch.testing.assert_close(before.diagonal(), after.diagonal(), atol=0.03, rtol=0)
    assert (before > 0.8).all()
    assert after[0, 1] < 0.1
    assert after[1, 0] < 0.1


def test_more_networks_predict_better_and_equal_numbers_take_that_advantage_away():
    response = fading()
    everyone = [[network(response, 12, 10 * p + i, 0.25) for i in range(3)] for p in range(4)]
    own = common_space.exchanged(everyone, 12).diagonal().mean()
    every = common_space.in_common(everyone, 12).mean()
    fair = common_space.in_common(everyone, 12, equally_many=True).mean()
    assert every > own + 0.1
    assert fair.item() == pytest.approx(own.item(), abs=0.05)


def test_others_are_the_populations_that_take_part_without_the_own_one():
    exchange = torch.arange(9, dtype=torch.float64).reshape(3, 3, 1)
    found = common_space.others_mean(exchange, torch.tensor([True, True, False]))
    assert found[:, 0].tolist() == [3, 1, (2 + 5) / 2]


def test_a_part_of_next_to_nothing_is_none():
    own = torch.tensor([[0.5, common_space.LEAST / 2], [0.5, 0.8]])
    found = common_space.part(own / 2, own)
    assert found[0].isnan().all()
    assert found[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: layer_maps.explained(
                layer_maps.layer(network(fading(), 9, 0)),
                layer_maps.layer(network(fading(images=60), 9, 0)),
            ),
            "same images",
        ),
        (lambda: layer_maps.best_match(torch.zeros(0, 3)), r"\(0, 3\)"),
        (lambda: common_space.exchanged([apart()[0], apart()[1][:2]], 4), "equally many"),
        (
            lambda: common_space.explained(common_space.space(apart()[0], 4), apart()[0][0], []),
            "by is empty",
        ),
        (lambda: only_classes(load_dataset("digits"), range(8, 12)), "some of 10"),
        (lambda: build_network("convnet-x", in_channels=1, image_size=16, n_classes=2), "narrow"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


# The study.


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def config():
    return Config.from_preset(
        "smoke", max_units=24, train_images=150, checkpoints=(1.0,), bootstrap=50
    )


@pytest.fixture(scope="module")
def found(config, output):
    return study("across", config, output=output)


def test_the_study_is_kept_and_read_again(found, config, output):
    path = study_path("across", config, output)
    assert path.stat().st_size < 300_000
    xr.testing.assert_identical(load_study("across", path), found)
    before = path.stat().st_mtime_ns
    study("across", config, output=output)
    assert path.stat().st_mtime_ns == before


def test_populations_share_no_seed_and_no_folder_and_halves_no_class(config, output):
    everyone = populations(plan(config, output=output))
    assert [p.name for p in everyone][:1] == ["ConvNet"]
    assert len({p.seed for p in everyone}) == len(everyone)
    assert len({p.folder for p in everyone}) == len(everyone)
    halves = [p for p in everyone if not p.same_data]
    assert [p.name for p in halves] == list(HALVES)
    classes = [set(p.data.train.labels.tolist()) for p in halves]
    assert classes[0] | classes[1] == set(range(10))
    assert not classes[0] & classes[1]


def test_a_population_of_another_architecture_is_the_first_where_the_plan_says_so(output):
    config = Config.from_preset("smoke", architecture="resnet18", stem="cifar")
    everyone = populations(plan(config, output=output))
    assert [p.name for p in everyone] == [
        "CIFAR stem",
        "ConvNet",
        "half width",
        "double width",
        "ResNet18",
        *HALVES,
    ]
    assert {p.stem for p in everyone[-2:]} == {"cifar"}


@pytest.mark.parametrize(("times", "takes_part"), [(1, False), (4, True)])
def test_the_stem_of_full_resolution_takes_part_where_images_are_as_large_as_cifars(
    times, takes_part, config, output
):
    it = plan(config, output=output)

    def enlarged(some):
        return replace(
            some, images=some.images.repeat_interleave(times, -2).repeat_interleave(times, -1)
        )

    data = replace(it.data, train=enlarged(it.data.train), test=enlarged(it.data.test))
    names = [p.name for p in populations(it._replace(data=data))]
    assert ("CIFAR stem" in names) == takes_part


def test_on_one_cifar_there_are_networks_that_were_trained_on_the_other(output, monkeypatch):
    asked = []

    def load(name, root, **draw):
        asked.append((name, root, draw["train_images"]))
        return load_dataset("digits", train_images=200)

    monkeypatch.setattr(partners, "load_dataset", load)
    config = Config.from_preset("smoke")
    it = plan(config, output=output)
    changed = Config.from_preset("smoke", dataset="cifar10", train_images=300)
    *_, last = populations(it._replace(config=changed, root="there"))
    assert asked == [("cifar100", "there", 300)]
    assert last.name == "CIFAR-100"
    assert len(last.data.train) == 200
    assert not last.same_data


def test_activity_is_of_the_plans_images_whatever_a_network_was_trained_on(found, config, output):
    it = plan(config, output=output)
    for population in populations(it):
        x, y = list(recorded(population, 1, it).values())[-1]
        assert x.shape[1] + y.shape[1] == len(it.data.test)
        assert x.square().sum().item() == pytest.approx(1, abs=1e-4)
        assert x.mean(1).abs().max() < 1e-6


def test_an_untrained_network_is_what_was_built(found, config, output):
    it = plan(config, output=output)
    own = populations(it)[0]
    before, after = (recorded(own, 0, it, ["dense"], trained=t)["dense"] for t in (False, True))
    assert not torch.allclose(before.alignment, after.alignment, atol=1e-3)
    again = recorded(own, 0, it, ["dense"], trained=False)["dense"]
    torch.testing.assert_close(before, again)


def test_every_number_is_there(found):
    same = found.same_data.values > 0
    assert found.matched.isel(depth=slice(0, 3)).notnull().all()
    assert found.matched.sel(population="ResNet18").notnull().all()
    explained = found.explained.sel(bound="estimate")
    assert explained.isel(population=np.flatnonzero(same)).notnull().all()
    assert explained.sel(space=["own", "others"]).notnull().all()
    assert found.explained.sel(bound="low").isnull().all()  # two networks: one pair
    assert found.exchange.notnull().all()
    own = np.stack([found.exchange.values[i, i] for i in range(len(same))])
    np.testing.assert_allclose(
        found.explained.sel(space="own", bound="estimate").values, own.mean(1)
    )
    untrained = found.untrained.sel(bound="estimate")
    assert untrained.isel(population=np.flatnonzero(same)).notnull().all()
    assert not np.allclose(found.untrained.isel(before=0), found.explained.isel(space=0))
    assert float(found.k) == 24


def judged(*lows):
    values = [[[low + 0.01, low, low + 0.02] for low in (*lows, 0.1)]]
    names = ["ConvNet", "ResNet18", "half width"][: len(lows)]
    data = {
        "part": (("space", "population", "bound"), values),
        "same_data": ("population", [1.0] * len(lows) + [0.0]),
    }
    bounds = ["estimate", "low", "high"]
    coords = {"space": ["common"], "population": [*names, "first classes"], "bound": bounds}
    return across.judge(xr.Dataset(data, coords))


def test_the_claim_holds_for_every_architecture_for_some_or_for_none():
    assert judged(0.95, 0.92).outcome == HOLDS  # other data do not count
    assert judged(0.95, 0.85).outcome == IN_PART
    assert judged(0.5, 0.85).outcome == FAILS
    value = judged(0.95, 0.5).value
    assert value == "1 of 2 architectures: ConvNet 0.96 [0.95, 0.97]; ResNet18 0.51 [0.50, 0.52]"


def test_no_claim_is_made_where_there_is_nothing_to_share():
    none = judged(float("nan"))
    assert none.outcome == UNDECIDED
    assert "nothing to share" in none.value


# Figures and words.


@pytest.fixture(scope="module")
def answers(found):
    return {"one": found, "another": found.copy()}


def test_the_figure_of_layers_has_an_entry_for_each_population_and_marks_the_best(answers):
    figure = figures.layers_matched(answers, layer_maps.MEASURES[0])
    labels = [b.label for b in figure.layout.updatemenus[0].buttons]
    names = [str(v) for v in answers["one"].population.values]
    assert labels == [f"{a}: {n}" for a in answers for n in names]
    place = names.index("ResNet18")
    assert figure.layout.updatemenus[0].active == place
    shown, marks = (t for t in figure.data if t.visible)
    expected = answers["one"].matched.isel(measure=0, population=place).mean("pair").values
    np.testing.assert_allclose(np.asarray(shown.z), expected.T)
    best = [["first pooling", "second pooling", "dense"][i] for i in expected.argmax(0)]
    assert list(marks.x) == best
    assert list(marks.y) == list(shown.y)
    button = figure.layout.updatemenus[0].buttons[0].args[0]["visible"]
    assert button[:2] == [True, True]
    assert sum(button) == 2


@pytest.mark.parametrize(("low", "words"), [(0.8, "matches follow"), (0.79, "only in part follow")])
def test_the_title_says_whether_matches_follow_depth_everywhere(found, low, words):
    made = found.copy(deep=True)
    made["order"][:] = 0.95
    made["order"].loc[{"population": "ResNet18"}] = low
    title = figures.layers_matched({"made": made}, layer_maps.MEASURES[0]).layout.title.text
    assert words in title.replace("<br>", " ")


@pytest.mark.parametrize(("columns", "text"), [(7, "%{z:.2f}"), (8, "%{z:.1f}"), (11, None)])
def test_cells_hold_their_numbers_as_far_as_there_is_room(columns, text):
    assert across_figures._number_in_a_cell(columns) == text


def test_one_answer_needs_no_menu_of_answers(found):
    alone = {"one": found}
    assert not figures.spaces_exchanged(alone).layout.updatemenus
    labels = [
        b.label
        for b in figures.layers_matched(alone, layer_maps.MEASURES[1]).layout.updatemenus[0].buttons
    ]
    assert labels[0] == "with ConvNet"


def test_the_figures_of_spaces_hold_the_studys_numbers_and_titles_say_the_range(answers):
    made = answers["one"].copy(deep=True)
    made["exchange_part"][:] = 0.5
    made["part"].loc[{"space": "common"}] = 0.75
    exchange = figures.spaces_exchanged({"made": made})
    assert np.allclose(exchange.data[0].z, 0.5)
    assert "explains 50 % of" in exchange.layout.title.text.replace("<br>", " ")
    made["exchange_part"][0, 1] = 0.18
    made["exchange_part"][1, 0] = 1.3
    colours = figures.spaces_exchanged({"made": made}).layout.coloraxis
    assert (colours.cmin, colours.cmax) == (0, pytest.approx(1.3))  # no value is off the scale
    assert list(colours.colorbar.tickvals) == [0, 0.25, 0.5, 0.75, 1, 1.25]
    spaces = figures.spaces_compared({"made": made})
    assert "75 % of" in spaces.layout.title.text.replace("<br>", " ")
    own = next(t for t in spaces.data if t.name == "its own space")
    kept = made.isel(population=np.flatnonzero(made.same_data.values))
    assert list(own.x) == [str(v) for v in kept.population.values]
    np.testing.assert_allclose(own.y, kept.explained.sel(space="own", bound="estimate"))


def test_tables_and_sentences_name_every_answer_and_population(answers):
    layers = json.loads(answers["one"].attrs["layers"])
    for say in (
        across_report.populations_table,
        across_report.order_table,
        across_report.spaces_table,
        across_report.untrained_table,
    ):
        text = say(answers)
        assert "**another**" in text
        assert "| ResNet18 |" in text
    assert list(layers) == [str(v) for v in answers["one"].population.values]
    for say in (
        across_report.itself_sentence,
        across_report.data_sentence,
        across_report.loss_sentence,
    ):
        assert "another" in say(answers)
    for alt in (across_report.exchange_alt, across_report.spaces_alt):
        assert "ConvNet" in alt(answers)
    assert "rank correlation" in across_report.matches_alt(answers, layer_maps.MEASURES[0])


def test_architectures_that_take_no_part_are_named_with_the_answer(found):
    fewer = found.sel(population=found.population != "half width")
    said = across_report.absent_sentence({"one": found, "another": fewer})
    assert said == "Not among them: CIFAR stem (one); half width, CIFAR stem (another)."
    everyone = found.assign_coords(population=[*partners.KINDS, *HALVES][: len(found.population)])
    assert across_report.absent_sentence({"all": everyone}) == ""


def test_the_table_of_matches_takes_layers_with_one_match_together(found):
    made = found.copy(deep=True)
    made["matched"].loc[{"population": "ConvNet"}] = np.eye(3, made.sizes["depth"])
    deep = np.zeros((3, made.sizes["depth"]))
    deep[0, :1] = deep[1, 1:7] = deep[2, 7:] = 1
    made["matched"].loc[{"population": "ResNet18"}] = deep
    rows = across_report.order_table({"made": made}).splitlines()
    assert any("| ConvNet | each layer its namesake |" in row for row in rows)
    matches = "layer 1 → first pooling, layer 3 to layer 13 → second pooling, "
    matches += "layer 15 to layer 17 → dense"
    assert any(f"| ResNet18 | {matches} |" in row for row in rows)


def test_layers_that_find_themselves_are_counted_over_all_pairs(found):
    made = found.copy(deep=True)
    pairs = made.sizes["pair"]
    table = np.full((pairs, 3, made.sizes["depth"]), np.nan)
    table[:, :, :3] = np.eye(3)
    table[0, 0, :3] = [0, 1, 0]
    made["matched"].loc[{"population": "ConvNet"}] = table
    assert f"{3 * pairs - 1} of {3 * pairs} by" in across_report.itself_sentence({"made": made})


def test_a_loss_is_sure_where_the_interval_lies_below_one(found):
    made = found.copy(deep=True)
    made["part"].loc[{"space": "others"}] = np.array([0.85, 0.8, 0.95])
    made["part"].loc[{"space": "common"}] = np.array([0.97, 0.95, 1.02])
    common, others = across_report.loss_sentence({"made": made}).splitlines()
    n = int(made.same_data.sum())
    assert (
        f"in 0 of {n} architectures (by their intervals), and at least 0.9 of it in {n}" in common
    )
    assert (
        f"in {n} of {n} architectures (by their intervals), and at least 0.9 of it in 0" in others
    )
