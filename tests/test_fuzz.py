"""Malformed input at every boundary: a typed error with a sentence, or a correct result."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch
from examples import small_results
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shared_geometry import cli
from shared_geometry.basics.files import read_tensors, write_tensors
from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment.results import load_results, save_results
from shared_geometry.srm import SRM

MANY = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIELDS = [*Config.model_fields, "network", "", "__class__", "recip", "cls", "self"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["digits", "cifar10", "convnet", "resnet18", "paper", "fast", "cpu", "torch"]),
    st.lists(st.one_of(st.floats(), st.integers(-3, 60), st.text(max_size=3)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
GIVEN = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)


def says_something(error):
    """One sentence for people: not empty, no code, no line of a traceback."""
    text = str(error)
    assert len(text) > 10
    assert not re.search(r"Traceback|pydantic|object at 0x|errors\.pydantic\.dev", text)


def check_config(make):
    try:
        config = make()
    except InputError as error:
        says_something(error)
        return
    assert Config.from_json(config.to_json()) == config
    assert config.networks >= 2


@MANY
@given(preset=st.one_of(st.sampled_from(["smoke", "quick", "paper"]), VALUES), fields=GIVEN)
def test_any_fields_give_a_config_or_a_sentence(preset, fields):
    fields.pop("preset", None)
    check_config(lambda: Config.from_preset(preset, **fields))


@MANY
@given(fields=GIVEN, besides=st.sampled_from([(), ("root", "output")]), root=VALUES)
def test_any_notebook_parameters_give_a_config_or_a_sentence(fields, besides, root):
    check_config(lambda: Config.from_notebook({**fields, "root": root}, besides=besides))


WORDS = st.one_of(
    st.sampled_from(["run", "show", "data", "--dataset", "--preset", "--networks", "--help"]),
    st.sampled_from(["--set", "--save", "--seed", "--executor", "digits", "smoke", "3", "-1"]),
    st.sampled_from(["networks=2", "=1", "networks=", "[x]", "components=1e9", "cls=1"]),
    st.sampled_from(["preset=smoke", "processes://0", "nowhere.nc"]),
    st.text(max_size=8),
)


@MANY
@example(words=["run", "--set", "architecture=[/red]"])
@given(words=st.lists(WORDS, max_size=6))
def test_any_command_line_ends_with_a_sentence_and_a_status(words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["shared-geometry", *words])
    monkeypatch.setattr("shared_geometry.experiment.run", lambda *a, **k: small_results())
    monkeypatch.setattr(
        "shared_geometry.datasets.loading._cifar", lambda *a: pytest.fail("fetched")
    )
    out, said = io.StringIO(), io.StringIO()
    monkeypatch.setattr(cli.errors, "file", said)
    monkeypatch.setattr(cli.console, "file", out)
    with redirect_stdout(out), redirect_stderr(said):
        try:
            cli.main()
            status = 0
        except SystemExit as done:
            status = done.code
        except FileNotFoundError:  # the run that stands in here leaves nothing to --save
            assert "--save" in words
            status = 0
    assert status in (0, None, 2)
    assert status != 2 or "error" in said.getvalue() or "Usage" in out.getvalue() + said.getvalue()
    assert "Traceback" not in said.getvalue()


def damaged(raw, cut, flips):
    """A file's bytes cut short and with some of them changed."""
    data = bytearray(raw[: int(len(raw) * cut)])
    for place, value in flips:
        if data:
            data[int(place * (len(data) - 1))] = value
    return bytes(data)


CUTS = st.one_of(st.just(1.0), st.floats(0, 1))
PART = st.floats(0, 1, allow_nan=False)
FLIPS = st.lists(st.tuples(PART, st.integers(0, 255)), max_size=6)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "results.nc"
    return save_results(small_results(), path), path.read_bytes()


@MANY
@given(cut=CUTS, flips=FLIPS)
def test_a_damaged_results_file_is_refused_or_reads_the_same(saved, tmp_path, cut, flips):
    results, raw = saved
    path = tmp_path / "damaged.nc"
    path.write_bytes(damaged(raw, cut, flips))
    try:
        found = load_results(path)
    except DataError as error:
        says_something(error)
    else:
        for name in results.data_vars:  # a flip may lie where nothing is kept
            np.testing.assert_array_equal(found[name], results[name])


@MANY
@given(cut=CUTS, flips=FLIPS)
def test_a_damaged_tensor_file_is_refused_or_reads_the_same(tmp_path, cut, flips):
    kept, about = {"x": torch.arange(12.0).reshape(3, 4)}, {"epoch": 1}
    path = tmp_path / "damaged.safetensors"
    write_tensors(path, kept, about)
    path.write_bytes(damaged(path.read_bytes(), cut, flips))
    try:
        found, description = read_tensors(path, about)
    except DataError as error:
        says_something(error)
    else:
        assert torch.equal(found["x"], kept["x"])
        assert description == about


NUMBERS = st.sampled_from(["float64", "float32", "int64", "bool", "complex128", "U3", "float16"])
ACTIVITY = NUMBERS.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, max_side=5))
)
POPULATIONS = st.one_of(
    ACTIVITY,
    st.lists(st.one_of(ACTIVITY, st.none(), st.text(max_size=3), st.integers()), max_size=4),
    st.none(),
    st.text(max_size=3),
    st.integers(),
    st.dictionaries(st.integers(), st.integers(), max_size=1),
)


@MANY
@given(X=POPULATIONS, k=st.one_of(st.none(), st.integers(-2, 8), st.floats(), st.text(max_size=2)))
def test_anything_given_to_srm_is_fitted_or_refused_in_a_sentence(X, k):
    try:
        model = SRM(n_components=k).fit(X)
    except InputError as error:
        says_something(error)
        return
    for w in model.w_:
        np.testing.assert_allclose(w.T @ w, np.eye(w.shape[1]), atol=1e-4)
    assert np.isfinite(model.s_).all()
