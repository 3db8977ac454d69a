import numpy as np
import pytest
import xarray as xr
from examples import small_results

from shared_geometry.config import Config
from shared_geometry.errors import DataError
from shared_geometry.experiment.results import _packed, config_of, load_results, save_results


@pytest.fixture(scope="module")
def results():
    return small_results()


def test_results_carry_named_dimensions(results):
    expected = {"network": 3, "layer": 2, "checkpoint": 3, "class": 4, "image": 10, "epoch": 2}
    assert expected.items() <= dict(results.sizes).items()
    assert results.variance.sel(layer="dense", checkpoint=2.0, measure="left out").shape == (3,)


def test_a_saved_file_gives_back_every_number(results, tmp_path):
    saved = save_results(results, tmp_path / "r.nc")
    loaded = load_results(tmp_path / "r.nc")
    xr.testing.assert_identical(saved, loaded)
    for name in set(results.data_vars) - {"rsm_class", "rsm_image", "patterns"}:
        np.testing.assert_array_equal(loaded[name].values, results[name].values)
    np.testing.assert_allclose(loaded.patterns.values, results.patterns.values, rtol=2**-11)
    for name in ("rsm_class", "rsm_image"):
        error = np.abs(loaded[name].values - results[name].values)
        assert error.max() <= 0.5 / 127 + 1e-9
    again = save_results(loaded, tmp_path / "again.nc").drop_attrs()
    xr.testing.assert_identical(again, loaded.drop_attrs())


def test_the_config_can_be_read_back(results, tmp_path):
    assert config_of(save_results(results, tmp_path / "r.nc")) == Config.from_preset(
        "smoke", networks=3, epochs=2
    )


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.99])
def test_a_file_cut_short_is_refused(results, tmp_path, cut):
    path = tmp_path / "r.nc"
    save_results(results, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(DataError):
        load_results(path)


def test_a_changed_number_is_noticed(results, tmp_path):
    path = tmp_path / "r.nc"
    saved = save_results(results, path)
    altered = saved.copy(deep=True)
    altered.variance.values[0, 0, 0, 0] += 1e-3
    packed = _packed(altered)
    packed.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DataError, match="checksum"):
        load_results(path)


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "foreign.nc"
    xr.Dataset({"x": ("t", [1.0])}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DataError, match="format 'none'"):
        load_results(path)
    path.write_text("hello")
    with pytest.raises(DataError, match="cannot be read"):
        load_results(path)
    with pytest.raises(DataError, match="there is no results file"):
        load_results(tmp_path / "absent.nc")
