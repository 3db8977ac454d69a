import json
import shutil

import numpy as np
import pytest
import xarray as xr

from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError, SetAside
from shared_geometry.experiment import population, print_progress, run, steps
from shared_geometry.experiment.controls import relabelled_channels
from shared_geometry.experiment.plan import plan
from shared_geometry.experiment.results import load_results, save_results
from shared_geometry.experiment.steps import shown_images
from shared_geometry.reports import crosscheck
from shared_geometry.reports.crosscheck import largest_difference, table
from shared_geometry.training import train, train_population

SMOKE = Config.from_preset("smoke", device="cpu")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    return run(SMOKE, output=output), output


def numbers(results):
    """Results without what differs from run to run: times and provenance."""
    return results.drop_attrs()


def test_a_run_gives_labelled_results_with_their_provenance(finished):
    results, output = finished
    assert results.sizes["network"] == SMOKE.networks
    assert list(results.layer.values) == ["pool1", "pool2", "dense"]
    assert list(results.checkpoint.values) == [0.0, 0.5, 1.0]
    assert Config.from_json(results.attrs["config"]) == SMOKE
    for name in ("commit", "versions", "hardware", "seconds", "recipe", "command", "code"):
        assert str(results.attrs[name])
    assert results.attrs["precision"] in ("float32", "bfloat16")
    assert json.loads(results.attrs["versions"])["torch"]
    on_disk = load_results(output / SMOKE.digest / "results.nc")
    xr.testing.assert_identical(results, on_disk)


def test_the_control_of_native_space_keeps_the_channels_that_the_units_lie_in(finished, tmp_path):
    results, output = finished
    it = plan(SMOKE, output=output)._replace(folder=tmp_path)
    assert results.attrs["native_control"] == "channels"
    assert it.channels["pool1"] < it.sizes["pool1"]
    assert it.channels["dense"] == it.sizes["dense"]
    activity = dict(population.activities(it))["pool1"]
    channels = steps.drawn_channels(it, "pool1")
    assert channels.shape == activity.held_out.shape[:2]
    assert (channels.diff() >= 0).all()
    ours, units = (relabelled_channels(activity, it.settings, c) for c in (channels, None))
    np.testing.assert_allclose(results.control_native.sel(layer="pool1"), ours, atol=1e-5)
    assert not np.allclose(ours, units, atol=1e-3)


def test_no_measure_is_missing_or_out_of_range(finished):
    results, _ = finished
    for name, values in results.data_vars.items():
        assert np.isfinite(values.values.astype(float)).all(), name
    for name in ("geometry_final", "geometry_current", "consistency", "rsm_class", "rsm_image"):
        assert float(abs(results[name]).max()) <= 1 + 1e-6, name
    assert float(results.variance.max()) <= 1
    for name in ("geometry_current", "consistency"):
        values = results[name]
        assert (values.sel(bound="low") <= values.sel(bound="estimate") + 1e-9).all()
        assert (values.sel(bound="estimate") <= values.sel(bound="high") + 1e-9).all()


def test_nothing_is_left_behind_but_networks_and_results(finished):
    _, output = finished
    assert [p.name for p in (output / SMOKE.digest).iterdir()] == ["results.nc"]


@pytest.fixture(scope="module")
def by_brainiak(finished):
    _, output = finished
    config = Config.from_preset("smoke", device="cpu", solver="brainiak-det", analysed=[0.5, 1.0])
    return run(config, output=output)


def test_some_checkpoints_can_be_analysed_and_another_solver_agrees(finished, by_brainiak):
    results, output = finished
    assert len(list(output.glob("networks-*"))) == 1  # the networks are the same
    assert list(by_brainiak.checkpoint.values) == [0.5, 1.0]
    gap, where = largest_difference(results, by_brainiak, published=False)
    assert gap < 0.005, where
    everything, _ = largest_difference(results, by_brainiak)
    assert everything >= gap
    np.testing.assert_allclose(
        by_brainiak.consistency, results.consistency.sel(checkpoint=[0.5, 1.0]), rtol=1e-6
    )


def test_solvers_are_compared_on_the_same_networks_only(finished, by_brainiak):
    results, _ = finished
    text = table(results, [by_brainiak])
    assert text.splitlines()[0] == "| layer | measure | ours | BrainIAK DetSRM |"
    assert len(text.splitlines()) == 2 + 3 * 5
    other = by_brainiak.copy()
    other.attrs = results.attrs | {
        "config": Config.from_preset("smoke", device="cpu", seed=1, networks=3).to_json()
    }
    with pytest.raises(DataError, match="differ in networks, seed"):
        table(results, [other])


def test_published_cross_checks_are_found_and_reported(finished, by_brainiak, tmp_path):
    results, _ = finished
    assert crosscheck.published(tmp_path) == []
    save_results(by_brainiak, tmp_path / "digits-brainiak-det.nc")
    with pytest.raises(DataError, match=r"no digits-torch\.nc"):
        crosscheck.published(tmp_path)
    save_results(results, tmp_path / "digits-torch.nc")
    ((ours, (theirs,)),) = crosscheck.published(tmp_path)
    xr.testing.assert_identical(ours, results)
    xr.testing.assert_identical(theirs, by_brainiak)
    text = crosscheck.report(ours, [theirs])
    gap, where = largest_difference(results, by_brainiak, published=False)
    assert f"BrainIAK DetSRM: by at most {gap:.4f}" in text
    assert where in text
    command = by_brainiak.attrs["command"]  # to be copied: no typography in it
    assert f" over all networks; `{command}`." in text


def test_a_fraction_that_leaves_a_class_without_a_held_out_image_is_refused(tmp_path):
    config = Config.from_preset("smoke", alignment_fraction=0.99)
    message = "alignment_fraction=0.99 of 797 images holds out 8, of . classes; every one of the 10"
    with pytest.raises(InputError, match=message):
        plan(config, output=tmp_path)
    assert plan(Config.from_preset("smoke", alignment_fraction=0.98), output=tmp_path)


@pytest.mark.parametrize(
    ("analysed", "message"),
    [([0.25, 1.0], "no checkpoints of this run"), ([0.0, 0.5], "must end with the last")],
)
def test_checkpoints_that_cannot_be_analysed_are_named(tmp_path, analysed, message):
    with pytest.raises(InputError, match=message):
        run(Config.from_preset("smoke", analysed=analysed), output=tmp_path)


def test_a_finished_run_is_not_done_again(finished, monkeypatch):
    results, output = finished

    def forbidden(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(population, "train_population", forbidden)
    xr.testing.assert_identical(run(SMOKE, output=output), results)


def test_the_same_config_gives_the_same_numbers_elsewhere(finished, tmp_path):
    results, _ = finished
    xr.testing.assert_identical(numbers(run(SMOKE, output=tmp_path)), numbers(results))


def test_another_seed_gives_other_numbers(finished, tmp_path):
    results, _ = finished
    config = Config.from_preset("smoke", device="cpu", seed=1)
    other = run(config, output=tmp_path)
    assert not np.allclose(other.variance.values, results.variance.values)


def test_a_run_stopped_in_the_analysis_goes_on_with_the_parts_it_has(
    finished, tmp_path, monkeypatch
):
    results, output = finished
    shutil.copytree(output, tmp_path / "runs")
    (tmp_path / "runs" / SMOKE.digest / "results.nc").unlink()
    analyse, calls = steps.analyse_layer, []

    def dying(*args):
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(args)
        return analyse(*args)

    monkeypatch.setattr(steps, "analyse_layer", dying)
    with pytest.raises(KeyboardInterrupt):
        run(SMOKE, output=tmp_path / "runs")
    calls.clear()
    monkeypatch.setattr(steps, "analyse_layer", lambda *a: calls.append(a) or analyse(*a))
    again = run(SMOKE, output=tmp_path / "runs")
    assert len(calls) == 3 * 3 - 4
    xr.testing.assert_identical(numbers(again), numbers(results))


def test_a_damaged_results_file_is_set_aside_and_made_again(finished, tmp_path):
    results, output = finished
    shutil.copytree(output, tmp_path / "runs")
    path = tmp_path / "runs" / SMOKE.digest / "results.nc"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(SetAside, match=r"results\.nc .*set aside"):
        again = run(SMOKE, output=tmp_path / "runs")
    xr.testing.assert_identical(numbers(again), numbers(results))
    assert path.with_name("results.nc.bad").exists()


def test_results_of_another_version_of_the_analysis_are_made_again(finished, tmp_path, monkeypatch):
    _, output = finished
    shutil.copytree(output, tmp_path / "runs")
    monkeypatch.setattr("shared_geometry.experiment.plan.source_digest", lambda: "another")
    assert run(SMOKE, output=tmp_path / "runs").attrs["code"] == "another"


def test_results_of_networks_that_were_trained_otherwise_are_made_again(
    finished, tmp_path, monkeypatch
):
    results, output = finished
    shutil.copytree(output, tmp_path / "runs")
    monkeypatch.setitem(train._FORMATS, SMOKE.architecture, 99)
    again = run(SMOKE, output=tmp_path / "runs")
    assert again.attrs["code"] == results.attrs["code"]
    assert again.attrs["networks"] != results.attrs["networks"]


def test_a_part_of_another_population_is_not_taken_up(finished, tmp_path, monkeypatch):
    _, output = finished
    shutil.copytree(output, tmp_path / "runs")
    it = plan(SMOKE, None, tmp_path / "runs")
    layer, last = next(iter(it.layers)), it.checkpoints[-1]
    steps.record(it, range(SMOKE.networks), last)
    steps.analyse(it, layer, last)
    assert layer not in steps.missing_layers(it, last)
    other = it._replace(networks=it.networks.with_name("networks-of-another-machine"))
    with pytest.warns(SetAside, match="networks-of-another-machine"):
        assert layer in steps.missing_layers(other, last)


def test_activity_that_cannot_be_recorded_says_why(tmp_path):
    it = plan(SMOKE, None, tmp_path)
    with pytest.raises(DataError, match="network 0 was not trained"):
        next(population.activities(it))


def test_more_components_than_a_layer_has_units_are_refused_before_any_work(tmp_path):
    config = Config.from_preset("smoke", max_units=600, components=550)
    with pytest.raises(InputError, match="components=550 is larger than a layer's units"):
        run(config, output=tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_missing_data_set_is_named_before_any_work(tmp_path, monkeypatch):
    config = Config.from_preset("smoke", dataset="cifar10")

    def absent(*args, **kwargs):
        raise DataError("no cifar10")

    monkeypatch.setattr("shared_geometry.experiment.plan.load_dataset", absent)
    with pytest.raises(DataError, match="no cifar10"):
        run(config, output=tmp_path)
    assert not any(tmp_path.iterdir())


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        run(SMOKE, output=tmp_path / "file")


def test_shown_images_are_as_many_of_each_class():
    import torch

    labels = torch.arange(60) // 20
    chosen = shown_images(labels, 12)
    assert torch.bincount(labels[chosen]).tolist() == [4, 4, 4]


def test_a_notebooks_progress_says_each_tenth_once(capsys):
    for done in range(1, 51):
        print_progress("training", done, 50, "note")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "training: 50 of 50, note"


def test_the_end_is_what_earlier_checkpoints_are_compared_with(finished):
    results, _ = finished
    current = results.geometry_current.sel(bound="estimate", space="shared")
    final = results.geometry_final.sel(bound="estimate", space="shared")
    assert np.abs(final - current).isel(checkpoint=0).max() > 1e-3
    np.testing.assert_allclose(final.isel(checkpoint=-1), current.isel(checkpoint=-1))


def test_activity_of_another_config_is_not_analysed(tmp_path):
    it = plan(SMOKE, None, tmp_path)
    how = {"n_networks": 2, "seed": 0, "folder": it.networks, "device": "cpu"}
    train_population(it.data, "convnet", it.recipe, **how)
    steps.record(it, range(2), 1.0)
    steps.activity_of(it, "dense", 1.0)
    other = it._replace(config=Config.from_preset("smoke", device="cpu", seed=1))
    with pytest.raises(DataError, match="config"):
        steps.activity_of(other, "dense", 1.0)
