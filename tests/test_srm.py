import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from shared_geometry.errors import InputError
from shared_geometry.rsa import rsm
from shared_geometry.srm import SRM, inputs

N, UNITS, SAMPLES = 4, 30, 200


def population(
    networks=N, units=UNITS, samples=SAMPLES, noise=0.5, decay=0.5, seed=0, dtype=np.float64
):
    """Rotated copies of one response with a decaying spectrum, each with noise of its own."""
    r = np.random.default_rng(seed)
    spectrum = np.arange(1, units + 1.0) ** -decay
    s = spectrum[:, None] * r.normal(size=(units, samples))
    basis = ortho_group(units, seed=seed).rvs
    noises = noise * spectrum[:, None] * r.normal(size=(networks, units, samples))
    return np.stack([basis() @ (s + e) for e in noises]).astype(dtype)


def explained(w, x, mean):
    centred = [a - m[:, None] for a, m in zip(x, mean, strict=True)]
    s = np.mean([b.T @ a for b, a in zip(w, centred, strict=True)], 0)
    residual = sum(np.sum((a - b @ s) ** 2) for a, b in zip(centred, w, strict=True))
    return 1 - residual / sum(np.sum(a**2) for a in centred)


@pytest.fixture(scope="module")
def data():
    return population()


@pytest.fixture(scope="module")
def fitted(data):
    return SRM(n_components=10, tol=1e-9, max_sweeps=1000).fit(data)


@pytest.mark.parametrize("k", [None, 1, 10, UNITS])
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_the_columns_of_w_are_orthonormal(k, dtype, limit):
    for w in SRM(k).fit(population(dtype=dtype)).w_:
        assert w.dtype == dtype
        gram = w.T.astype(np.float64) @ w.astype(np.float64)
        np.testing.assert_allclose(gram, np.eye(k or UNITS), atol=limit)


def test_the_objective_never_rises_and_is_that_of_w_and_s(data, fitted):
    assert all(b <= a for a, b in zip(fitted.objective_, fitted.objective_[1:], strict=False))
    assert len(fitted.objective_) == fitted.n_sweeps_
    assert fitted.converged_
    residual = sum(
        np.sum((x - m[:, None] - w @ fitted.s_) ** 2)
        for x, m, w in zip(data, fitted.mean_, fitted.w_, strict=True)
    )
    np.testing.assert_allclose(fitted.objective_[-1], residual, rtol=1e-10)


def test_planted_rotations_are_recovered_exactly():
    x = population(noise=0)
    model = SRM().fit(x)
    shared = model.transform(x)
    np.testing.assert_allclose(shared, np.broadcast_to(shared[0], shared.shape), atol=1e-10)
    assert model.score(x) == pytest.approx(1, abs=1e-12)
    for x_i, w in zip(x, model.w_, strict=True):  # the relative rotations are the planted ones
        back = w @ model.w_[0].T @ (x[0] - model.mean_[0][:, None])
        np.testing.assert_allclose(back, x_i - x_i.mean(1, keepdims=True), atol=1e-10)


def test_two_networks_with_square_bases_are_orthogonal_procrustes():
    x = population(networks=2)
    centred = x - x.mean(2, keepdims=True)
    model = SRM().fit(x)
    rotation, _ = orthogonal_procrustes(centred[0].T, centred[1].T)  # x0' R = x1'
    np.testing.assert_allclose(model.w_[1] @ model.w_[0].T, rotation.T, atol=1e-8)


@pytest.mark.parametrize("k", [5, 20, None])
@pytest.mark.parametrize("backend", ["brainiak", "brainiak-det"])
def test_it_explains_as_much_variance_as_brainiak(k, backend):
    both = population(samples=400, seed=3)
    fit, held_out = both[..., :250], both[..., 250:]
    ours, theirs = SRM(k).fit(fit), SRM(k, backend=backend).fit(fit)
    assert ours.score(fit) >= theirs.score(fit) - 1e-3
    assert ours.score(held_out) >= theirs.score(held_out) - 2e-3


def test_where_both_converged_the_shared_geometry_is_that_of_brainiak():
    from brainiak.funcalign.srm import DetSRM

    x = population(noise=0.2, seed=5)
    centred = x - x.mean(2, keepdims=True)
    theirs = DetSRM(n_iter=300, features=10).fit(list(centred))
    ours = SRM(10, tol=1e-10, max_sweeps=1000).fit(x)
    # Both S are right up to one rotation, which cosines ignore and Pearson correlations do not.
    rsms = [rsm(s, centre=False)[np.tril_indices(SAMPLES, -1)] for s in (theirs.s_, ours.s_)]
    assert np.corrcoef(*rsms)[0, 1] > 0.9999
    assert ours.score(x) == pytest.approx(explained(theirs.w_, x, ours.mean_), abs=1e-4)


def test_float32_agrees_with_float64(data, fitted):
    single = SRM(10, tol=1e-7, max_sweeps=1000).fit(data.astype(np.float32))
    assert single.s_.dtype == np.float32
    assert single.score(data.astype(np.float32)) == pytest.approx(fitted.score(data), abs=1e-5)


def test_networks_may_differ_in_their_units():
    wide = population(units=40, seed=1)
    x = [wide[0], wide[1][:35], wide[2][:25]]
    model = SRM().fit(x)
    assert [w.shape for w in model.w_] == [(40, 25), (35, 25), (25, 25)]
    assert [s.shape for s in model.transform(x)] == [(25, SAMPLES)] * 3


def test_numpy_and_torch_each_come_back_as_they_came(data):
    a, b = SRM(5).fit(data), SRM(5).fit(torch.from_numpy(data))
    assert isinstance(a.s_, np.ndarray)
    assert isinstance(b.s_, torch.Tensor)
    assert all(isinstance(v, torch.Tensor) for v in (*b.w_, *b.mean_))
    np.testing.assert_array_equal(a.s_, b.s_.numpy())
    assert isinstance(b.transform(torch.from_numpy(data)), torch.Tensor)
    assert isinstance(a.transform(list(data)), list)


def test_the_data_are_not_changed(data):
    before = data.copy()
    SRM().fit(data).transform(data)
    np.testing.assert_array_equal(data, before)


def test_transform_subtracts_the_means_of_the_fit_unless_told_not_to(data):
    shifted = data + np.arange(UNITS)[:, None]
    held_out = shifted[..., :50] + 3
    model = SRM(10).fit(shifted)
    for z, w, m, x in zip(model.transform(held_out), model.w_, model.mean_, held_out, strict=True):
        np.testing.assert_allclose(m, x.dtype.type(0) + shifted_mean(shifted, w, model), rtol=1e-9)
        np.testing.assert_allclose(z, w.T @ (x - m[:, None]), atol=1e-9)
    raw = SRM(10, center=False).fit(shifted)
    np.testing.assert_array_equal(raw.mean_[0], 0)
    np.testing.assert_allclose(raw.transform(held_out)[0], raw.w_[0].T @ held_out[0], atol=1e-9)


def shifted_mean(x, w, model):
    index = next(i for i, basis in enumerate(model.w_) if basis is w)
    return x[index].mean(1)


@pytest.mark.parametrize("mean", [0.0, 1.0, 30.0, 1e3])
def test_the_variance_is_exact_however_large_the_means(mean):
    x = np.random.default_rng(0).normal(mean, size=(2, 70, 200)).astype(np.float32)
    model = SRM(3, max_sweeps=1).fit(x)
    exact = x.astype(float)
    centred = exact - exact.mean(2, keepdims=True)
    power = 2 * np.square(model.s_.astype(float)).sum()
    assert model.objective_[-1] + power == pytest.approx(np.square(centred).sum(), rel=1e-6)


def test_adding_a_constant_to_a_unit_changes_nothing_but_its_mean(data):
    shifted = data + 100 * np.arange(UNITS)[:, None]
    a, b = SRM(10).fit(data), SRM(10).fit(shifted)
    np.testing.assert_allclose(np.corrcoef(a.s_.T), np.corrcoef(b.s_.T), atol=1e-6)


def test_a_fitted_network_is_its_own_new_network(data, fitted):
    w = fitted.transform_network(data[1])
    assert w.shape == (UNITS, 10)
    np.testing.assert_allclose(w, fitted.w_[1], atol=2e-2)


def test_a_new_network_is_aligned_by_orthogonal_procrustes(data):
    model = SRM().fit(data[:3])
    centred = data[3] - data[3].mean(1, keepdims=True)
    rotation, _ = orthogonal_procrustes(centred.T, model.s_.T)
    np.testing.assert_allclose(model.transform_network(data[3]), rotation, atol=1e-8)
    other = np.roll(model.s_, 1, axis=1)
    rotation, _ = orthogonal_procrustes(centred.T, other.T)
    np.testing.assert_allclose(model.transform_network(data[3], shared=other), rotation, atol=1e-8)


def test_inverse_transform_undoes_transform_where_w_is_square(data):
    model = SRM().fit(data)
    np.testing.assert_allclose(model.inverse_transform(model.transform(data)), data, atol=1e-10)


@pytest.mark.parametrize("responses", [None, 3, "x", [None, None]])
def test_what_is_no_response_is_refused_in_a_sentence(fitted, responses):
    with pytest.raises(InputError):
        fitted.inverse_transform(responses)


def test_one_shared_response_is_mapped_back_to_every_network(data, fitted):
    back = fitted.inverse_transform(fitted.s_)
    assert [b.shape for b in back] == [(UNITS, SAMPLES)] * N
    expected = fitted.w_[2] @ fitted.s_ + fitted.mean_[2][:, None]
    np.testing.assert_allclose(back[2], expected, atol=1e-12)


def test_score_is_the_variance_that_the_shared_response_explains(data, fitted):
    expected = explained(fitted.w_, data[..., :60], fitted.mean_)
    assert fitted.score(data[..., :60]) == pytest.approx(expected, abs=1e-10)


def test_leaving_a_network_out_predicts_it_from_the_others_alone(data, fitted):
    held_out = data[..., :60]
    z = fitted.transform(held_out)
    expected = []
    for i in range(N):
        centred = held_out[i] - fitted.mean_[i][:, None]
        others = np.delete(z, i, axis=0).mean(0)
        expected.append(1 - np.sum((centred - fitted.w_[i] @ others) ** 2) / np.sum(centred**2))
    found = fitted.score(held_out, leave_one_out=True, per_network=True)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_on_pure_noise_nothing_is_explained_but_what_a_network_explains_of_itself():
    x = np.random.default_rng(0).normal(size=(10, 40, 2600))
    model = SRM(20).fit(x[..., :600])
    held_out = x[..., 600:]
    assert model.score(held_out) == pytest.approx(20 / (10 * 40), abs=0.01)
    assert model.score(held_out, leave_one_out=True) == pytest.approx(-20 / (9 * 40), abs=0.01)
    z = model.transform(held_out).reshape(10, -1)
    between = np.corrcoef(z)[np.triu_indices(10, 1)]
    np.testing.assert_allclose(between, 0, atol=0.02)


@pytest.mark.parametrize("k", [5, 20, 40])
def test_on_noise_of_any_spectrum_the_score_is_what_the_axes_keep_over_the_networks(k):
    spectrum = np.arange(1, 41)[:, None] ** -0.75
    x = spectrum * np.random.default_rng(0).normal(size=(5, 40, 8000))
    model, held_out = SRM(k).fit(x[..., :4000]), x[..., 4000:]
    centred = held_out - np.stack(model.mean_)[..., None]
    kept = np.sum(np.square(model.transform(held_out))) / np.sum(np.square(centred))
    assert kept == pytest.approx(1) if k == 40 else kept > 1.5 * k / 40
    assert model.score(held_out) == pytest.approx(kept / 5, abs=0.003)
    assert model.score(held_out, leave_one_out=True) == pytest.approx(-kept / 4, abs=0.003)


def test_dead_and_duplicated_units_leave_w_orthonormal_and_the_fit_deterministic(data):
    x = data.copy()
    x[0, 5:9] = 0
    x[1, 3] = 7
    x[2, 4] = x[2, 6]
    a, b = SRM().fit(x), SRM().fit(x.copy())
    np.testing.assert_array_equal(a.s_, b.s_)
    for w in a.w_:
        np.testing.assert_allclose(w.T @ w, np.eye(UNITS), atol=1e-10)


@pytest.mark.parametrize("k", [None, 12])
def test_more_units_than_samples_are_fitted_exactly(k):
    x = population(units=60, samples=20)
    model = SRM(k).fit(x)
    assert model.s_.shape == (k or 20, 20)
    for w in model.w_:
        np.testing.assert_allclose(w.T @ w, np.eye(k or 20), atol=1e-10)
    rotated = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))[0]
    again = SRM(k).fit(np.stack([rotated @ x_i for x_i in x]))
    assert again.objective_[-1] == pytest.approx(model.objective_[-1], rel=1e-6)


def test_a_warm_start_from_the_solution_is_done_in_one_sweep(data, fitted):
    again = SRM(10, tol=1e-6).fit(data, w=fitted.w_)
    assert again.n_sweeps_ <= 2
    assert again.objective_[-1] <= fitted.objective_[-1] * (1 + 1e-12)


def test_the_sweeps_stop_at_the_limit_and_say_so(data):
    model = SRM(10, tol=0, max_sweeps=3).fit(data)
    assert model.n_sweeps_ == 3
    assert not model.converged_


def test_it_keeps_the_conventions_of_scikit_learn(data, fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "w_")
    assert repr(SRM(5, tol=0.01)) == "SRM(n_components=5, tol=0.01)"
    assert copy.set_params(n_components=3).fit(data).s_.shape == (3, SAMPLES)
    with pytest.raises(InputError, match="no parameter 'features'; it has n_components"):
        copy.set_params(features=3)
    np.testing.assert_array_equal(SRM(5).fit_transform(data), SRM(5).fit(data).transform(data))
    np.testing.assert_array_equal(
        make_pipeline(SRM(5)).fit(data).transform(data), SRM(5).fit_transform(data)
    )


@pytest.mark.parametrize("method", ["transform", "score", "inverse_transform", "transform_network"])
def test_nothing_can_be_asked_of_a_model_that_is_not_fitted(data, method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(SRM(), method)(data)


def broken(data, index, value):
    x = data.copy()
    x[index] = value
    return x


BAD = {
    "NaN": (lambda x: SRM().fit(broken(x, (2, 3, 4), np.nan)), "network 2 holds 1 values"),
    "infinity, means kept": (
        lambda x: SRM(center=False).fit(broken(x, (1, 0, 4), -np.inf)),
        "network 1 holds 1 values that are NaN or infinite, the first at unit 0, sample 4",
    ),
    "infinity": (lambda x: SRM().fit(broken(x, (1, 3, 4), np.inf)), "at unit 3, sample 4"),
    "opposite infinities": (
        lambda x: SRM().fit(broken(x, (0, 3, [4, 5]), [np.inf, -np.inf])),
        "network 0 holds 2 values",
    ),
    "mismatched samples": (
        lambda x: SRM().fit([x[0], x[1], x[2][:, :150]]),
        "network 2 has 150 samples and network 0 has 200",
    ),
    "k above the units": (
        lambda x: SRM(31).fit(x),
        "n_components=31 is larger than the 30 units of network 0 (200 samples)",
    ),
    "k above the samples": (
        lambda x: SRM(25).fit(x[..., :20]),
        "n_components=25 is larger than the 20 samples (smallest network: 30 units)",
    ),
    "k is no number": (lambda x: SRM("all").fit(x), "n_components='all'"),
    "k is zero": (lambda x: SRM(0).fit(x), "n_components=0"),
    "k is a truth value": (lambda x: SRM(True).fit(x), "n_components=True"),
    "one network": (lambda x: SRM().fit(x[:1]), "X holds 1 networks; at least 2"),
    "one matrix": (lambda x: SRM().fit(x[0]), "X is one array of shape (30, 200)"),
    "integers": (lambda x: SRM().fit((10 * x).astype(int)), "network 0 holds int64; convert"),
    "empty list": (lambda x: SRM().fit([]), "X holds 0 networks"),
    "empty array": (lambda x: SRM().fit(x[:, :0]), "network 0 has shape (0, 200)"),
    "lists of numbers": (lambda x: SRM().fit(x.tolist()), "network 0 is a list"),
    "no array": (lambda x: SRM().fit("activity.npy"), "X is a str"),
    "mixed types": (lambda x: SRM().fit([x[0], x[1].astype(np.float32)]), "one type"),
    "unknown backend": (lambda x: SRM(backend="jax").fit(x), "backend='jax'; allowed are torch"),
    "negative tolerance": (lambda x: SRM(tol=-1).fit(x), "tol=-1"),
    "no sweep": (lambda x: SRM(max_sweeps=0).fit(x), "max_sweeps=0"),
    "warm start of another shape": (lambda x: SRM(4).fit(x, w=[x[0, :, :5]] * 4), "need"),
    "warm start that is not orthonormal": (
        lambda x: SRM(4).fit(x, w=[3 * np.eye(UNITS)[:, :4]] * 4),
        "the basis of network 0 in w has no orthonormal columns: w.T @ w differs from the unit",
    ),
    "means kept by BrainIAK": (
        lambda x: SRM(4, backend="brainiak", center=False).fit(x),
        "center=False with backend='brainiak'",
    ),
    "a tolerance for BrainIAK": (
        lambda x: SRM(4, backend="brainiak", tol=1e-6).fit(x),
        "tol=1e-06 with backend='brainiak': BrainIAK makes 10 iterations",
    ),
    "warm start of BrainIAK": (
        lambda x: SRM(4, backend="brainiak-det").fit(x, w=[x[0, :, :4]] * 4),
        "w with backend='brainiak-det'",
    ),
    "an unknown device": (lambda x: SRM(device="gpu").fit(x), "device='gpu' is not allowed"),
    "values that float32 cannot hold": (
        lambda x: SRM(4).fit(x.astype(np.float32)).transform(1e300 * x),
        "network 0 holds 6000 values that are NaN or infinite",
    ),
    "other networks": (lambda x: SRM(4).fit(x).transform(x[:3]), "fitted on 4"),
    "other units": (lambda x: SRM(4).fit(x).transform(x[:, :9]), "network 0 has 9 units"),
    "other samples": (lambda x: SRM(4).fit(x).transform_network(x[0, :, :9]), "has 9 samples"),
    "too few units": (lambda x: SRM(4).fit(x).transform_network(x[0, :3]), "fewer than the 4"),
    "other dimensions": (lambda x: SRM(4).fit(x).inverse_transform(x), "4 components"),
}


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e16), ("float64", 1e150)])
@pytest.mark.parametrize("offset", [0, 10])
def test_activity_whose_squares_overflow_is_refused_and_smaller_is_fitted(dtype, size, offset):
    x = np.random.default_rng(0).normal(size=(3, 6, 40)) + offset
    model = SRM().fit((size * x).astype(dtype))
    assert np.isfinite(model.objective_).all()
    expected = SRM().fit(x)
    np.testing.assert_allclose(np.array(model.objective_) / size**2, expected.objective_, rtol=1e-4)
    for larger in (1e4, 1e8, 1e20):
        with pytest.raises(InputError, match=f"too large.*{dtype} holds; divide all"):
            SRM().fit((size * larger * x).astype(dtype))


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e-15), ("float64", 1e-145)])
@pytest.mark.parametrize("center", [True, False])
def test_activity_whose_squares_underflow_is_refused_and_larger_is_fitted(dtype, size, center):
    x = np.random.default_rng(0).normal(size=(3, 6, 40))
    whole, models = SRM(4, center=center).fit(x), SRM(4, center=center)
    assert models.fit((size * x).astype(dtype)).converged_
    np.testing.assert_allclose(models.score((size * x).astype(dtype)), whole.score(x), rtol=1e-4)
    for smaller in (1e-8, 1e-10):
        tiny = (size * smaller * x).astype(dtype)
        for fit in (models.fit, lambda x: models.fit_blocks([x[..., :9], x[..., 9:]])):
            with pytest.raises(InputError, match=f"network 0 is too small.*{dtype} loses digits"):
                fit(tiny)
        with pytest.raises(InputError, match="network 1 is too small"):
            models.fit([x[0].astype(dtype), tiny[1]])


def test_activity_that_comes_in_blocks_is_refused_if_its_squares_overflow():
    x = 1e19 * np.random.default_rng(0).normal(size=(3, 6, 40)).astype(np.float32)
    with pytest.raises(InputError, match="too large: its squares"):
        SRM(4).fit_blocks([x[..., :20], x[..., 20:]])


def test_activity_of_another_type_is_taken_to_that_of_the_fit(data):
    single = data.astype(np.float32)
    model = SRM(4).fit(single)
    for new in (data, torch.from_numpy(data)):
        assert str(model.transform(new).dtype).endswith("float32")
        np.testing.assert_array_equal(model.transform(new), model.transform(single))
        assert model.score(new) == model.score(single)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(data):
    for fit in (SRM(4, device="cuda").fit, lambda x: SRM(4, device="cuda").fit_blocks([x])):
        with pytest.raises(InputError, match="device='cuda' is not allowed here"):
            fit(data)


def test_new_activity_of_another_scale_is_no_score(data):
    model = SRM(4, center=False).fit(data.astype(np.float32))
    for scale, message in ((1e-24, "too small"), (1e30, "too large")):
        with pytest.raises(InputError, match=message):
            model.score((data * scale).astype(np.float32))


def test_a_network_of_zeros_is_no_small_activity(data):
    model = SRM(3).fit([data[0], 0 * data[1], data[2]])
    assert np.isfinite(model.objective_).all()


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_in_one_clear_sentence(data, call, message):
    with pytest.raises(InputError) as caught:
        call(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_finite_values_whose_sum_is_not_are_taken():
    large = torch.full((20, 30), 3e37)
    assert not large.sum().isfinite()
    assert len(inputs.networks([large, large])) == 2


def test_brainiak_s_deterministic_solver_is_given_centred_activity(data):
    pytest.importorskip("brainiak")
    offset = 5 * np.random.default_rng(0).normal(size=(*data.shape[:2], 1))
    one, other = (SRM(backend="brainiak-det").fit(x) for x in (data, data + offset))
    for a, b in zip(one.w_, other.w_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
