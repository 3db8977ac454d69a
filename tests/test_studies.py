import json
import math
from types import SimpleNamespace

import pytest
import xarray as xr
from conftest import ROOT

from shared_geometry.basics.labelled import write_labelled
from shared_geometry.basics.provenance import source_digest
from shared_geometry.beyond import studies
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import FAILS, HOLDS, Found
from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError, SetAside
from shared_geometry.experiment import parts, run
from shared_geometry.experiment.plan import plan
from shared_geometry.publishing.pages import read_pages
from shared_geometry.reports import ledger
from shared_geometry.reports.ledger import NOT_RUN

SMOKE = Config.from_preset("smoke", device="cpu")


class Trial:
    """A study that counts how often it measures."""

    FORMAT = 3
    CLAIM = Claim(
        "trial", "There are layers", "nowhere", "more than none", "trial",
        lambda found: Found(HOLDS if found.depth > 2 else FAILS, f"{int(found.depth)} layers"),
    )  # fmt: skip

    def __init__(self):
        self.measured = 0

    def measure(self, it, parts, progress):
        self.measured += 1
        return xr.Dataset({"depth": len(it.layers)})


class Killed(Trial):
    """A trial in two parts, which is killed once between them."""

    def __init__(self):
        self.made = []
        self.killed = False

    def part(self, name):
        self.made.append(name)
        return xr.Dataset({"name": name}, attrs={"unit": "not kept"})

    def measure(self, it, parts, progress):
        first = parts.made("first", self.part, "first")
        if not self.killed:
            self.killed = True
            raise KeyboardInterrupt
        second = parts.under("more").made("first", self.part, "second")
        xr.testing.assert_identical(first, xr.Dataset({"name": "first"}))
        xr.testing.assert_identical(second, xr.Dataset({"name": "second"}))
        return xr.Dataset({"depth": len(it.layers)})


def put_to(monkeypatch, it):
    real = studies._module
    monkeypatch.setattr(studies, "_module", lambda name: it if name == "trial" else real(name))
    monkeypatch.setattr(studies, "names", lambda: ["trial"])
    return it


@pytest.fixture
def trial(monkeypatch):
    return put_to(monkeypatch, Trial())


@pytest.fixture
def killed(monkeypatch, tmp_path):
    """A trial that was killed after its first part, and the file of that part."""
    it = put_to(monkeypatch, Killed())
    with pytest.raises(KeyboardInterrupt):
        studies.study("trial", SMOKE, output=tmp_path)
    path = studies.study_path("trial", SMOKE, tmp_path)
    assert not path.exists()
    (part,) = path.with_suffix(".parts").rglob("first.nc")
    return it, part


def test_a_study_that_was_killed_goes_on_and_leaves_no_parts(killed, tmp_path):
    it, part = killed
    assert part.is_file()
    held = xr.load_dataset(part)
    held.attrs["seconds"] = 5000.0
    write_labelled(held, part, held.attrs["format"])
    found = studies.study("trial", SMOKE, output=tmp_path)
    assert it.made == ["first", "second"]
    assert not part.parents[1].exists()
    assert 5000 <= found.seconds < 5100  # those before the kill count


def test_a_damaged_part_is_named_and_made_again(killed, tmp_path):
    it, part = killed
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.warns(SetAside, match=r"first\.nc .*set aside"):
        studies.study("trial", SMOKE, output=tmp_path)
    assert it.made == ["first", "first", "second"]
    assert not part.parents[1].exists()


def test_a_part_of_another_form_is_named_and_made_again(killed, tmp_path):
    it, _ = killed
    it.FORMAT = 4
    with pytest.warns(SetAside, match="format 'part of trial 3'; expected 'part of trial 4'"):
        studies.study("trial", SMOKE, output=tmp_path)
    assert it.made == ["first", "first", "second"]


def test_a_part_by_other_source_is_made_again(killed, tmp_path, monkeypatch):
    it, part = killed
    monkeypatch.setattr(studies, "source_digest", lambda *modules: "other")
    studies.study("trial", SMOKE, output=tmp_path)
    assert it.made == ["first", "first", "second"]
    assert not part.parents[1].exists()


@pytest.fixture
def kept(monkeypatch):
    """Files of the parts that are kept, one after the other; ``most`` kills whoever keeps more."""
    files, keep = SimpleNamespace(paths=[], most=math.inf), parts.write_labelled

    def write(part, path, form):
        if len(files.paths) == files.most:
            raise KeyboardInterrupt
        keep(part, path, form)
        files.paths.append(path)

    monkeypatch.setattr(parts, "write_labelled", write)
    return files


@pytest.mark.parametrize("name", studies.names())
def test_every_study_that_is_killed_goes_on_where_it_was(name, tmp_path, kept):
    small = {"max_units": 24, "train_images": 150, "bootstrap": 20, "networks": 2}
    config = Config.from_preset("smoke", architecture=studies.architectures(name)[0], **small)
    whole = studies.study(name, config, output=tmp_path)
    path, every = studies.study_path(name, config, tmp_path), kept.paths
    assert len(every) == len(set(every)) >= 3
    path.unlink()
    kept.paths, kept.most = [], len(every) // 2
    with pytest.raises(KeyboardInterrupt):
        studies.study(name, config, output=tmp_path)
    assert not path.exists()
    done, kept.paths, kept.most = kept.paths, [], math.inf
    again = studies.study(name, config, output=tmp_path)
    assert [*done, *kept.paths] == every
    assert not any(file.exists() for file in every)
    for found in (again, whole):  # the checksum is over the seconds, too
        assert found.attrs.pop("seconds") > 0
        found.attrs.pop("sha256")
    xr.testing.assert_identical(again, whole)


def test_networks_are_recorded_for_layers_that_are_not_there_yet(tmp_path, monkeypatch):
    it, asked = plan(SMOKE, output=tmp_path), []

    def recorded(plan, checkpoint, layers):
        asked.append(list(layers))
        yield from ((layer, layer.upper()) for layer in layers)

    def measure(layer, activity):
        return xr.Dataset({"told": f"{layer} {activity}"})

    monkeypatch.setattr(parts, "activities", recorded)
    store = parts.Parts(tmp_path / "parts", "a form", "again")
    first = dict(store.each_layer(it, 1.0, measure))
    assert [str(first[layer].told.values) for layer in it.layers] == [
        "pool1 POOL1", "pool2 POOL2", "dense DENSE"
    ]  # fmt: skip
    (tmp_path / "parts" / "epoch-1-layer-pool2.nc").unlink()
    for layer, part in store.each_layer(it, 1.0, measure):
        xr.testing.assert_identical(part, first[layer])
    assert asked == [["pool1", "pool2", "dense"], ["pool2"]]
    notes = []
    joined = store.of_layers(it, 1.0, measure, notes.append)
    for layer in it.layers:
        xr.testing.assert_identical(joined.sel(layer=layer, drop=True), first[layer])
    assert notes == ["epoch 1, first pooling", "epoch 1, second pooling", "epoch 1, dense"]


def test_a_study_is_made_once_and_says_how(trial, tmp_path):
    found = studies.study("trial", SMOKE, output=tmp_path)
    again = studies.study("trial", SMOKE, output=tmp_path)
    assert trial.measured == 1
    xr.testing.assert_identical(found, again)
    assert found.attrs["title"] == "ConvNet, handwritten digits"
    assert Config.from_json(found.attrs["config"]) == SMOKE
    assert found.attrs["command"].startswith("shared-geometry study trial --dataset digits")
    assert {"commit", "versions", "hardware", "seconds", "recipe"} <= set(found.attrs)
    assert json.loads(found.attrs["recipe"])["epochs"] == 1


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("chance", {"checkpoints": (0.5, 1.0)}, "begin after training has"),
        ("dynamics", {"checkpoints": (0.5, 1.0)}, "begin after training has"),
        ("dynamics", {"analysed": (0.5, 1.0)}, "begin after training has"),
        ("dynamics", {"checkpoints": (0.0,)}, "end where training begins"),
        ("chance", {"checkpoints": (0.0,)}, "end where training begins"),
        ("heads", {"alignment_fraction": 0.0025}, "2 images to align: too few to choose a penalty"),
        ("across", {"alignment_fraction": 0.0015}, "leaves 1 to align"),
        ("choices", {"solver": "brainiak"}, "one of the choices is to keep them"),
        ("choices", {"centre": False}, "means kept are one of the choices"),
        ("rigidity", {"max_units": 1000}, "expected max_units below"),
    ],
)
def test_what_a_study_cannot_do_with_is_refused_before_training(tmp_path, name, fields, words):
    config = Config.from_preset("smoke", **fields)
    with pytest.raises(InputError, match=words):
        studies.study(name, config, output=tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_damaged_answer_is_named_and_made_again(trial, tmp_path):
    studies.study("trial", SMOKE, output=tmp_path)
    path = studies.study_path("trial", SMOKE, tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(SetAside, match=r"trial\.nc .*set aside"):
        studies.study("trial", SMOKE, output=tmp_path)
    assert trial.measured == 2


def test_an_answer_of_another_form_is_named_and_made_again(trial, tmp_path):
    studies.study("trial", SMOKE, output=tmp_path)
    trial.FORMAT = 4
    with pytest.warns(SetAside, match="format 'trial 3'; expected 'trial 4'"):
        studies.study("trial", SMOKE, output=tmp_path)
    assert trial.measured == 2


def test_an_answer_by_other_source_is_made_again(trial, tmp_path, monkeypatch):
    studies.study("trial", SMOKE, output=tmp_path)
    monkeypatch.setattr(studies, "source_digest", lambda *modules: "other")
    studies.study("trial", SMOKE, output=tmp_path)
    assert trial.measured == 2


def test_an_unknown_study_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"there is no study 'fortune'; known are .*rigidity"):
        studies.study("fortune", SMOKE, output=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_published_answers_are_found_by_their_titles_and_judged_in_the_ledger(trial, tmp_path):
    assert [row.verdict for row in ledger.beyond_rows(tmp_path)] == [NOT_RUN]
    studies.study("trial", SMOKE, output=tmp_path / "runs")
    path = studies.study_path("trial", SMOKE, tmp_path / "runs")
    (tmp_path / "trial-digits-convnet.nc").write_bytes(path.read_bytes())
    assert list(studies.published("trial", tmp_path)) == ["ConvNet, handwritten digits"]
    (row,) = ledger.beyond_rows(tmp_path)
    assert (row.verdict, row.condition, row.found.value) == (
        HOLDS, "ConvNet, handwritten digits: 2 networks, 1 epoch of 300 images", "3 layers"
    )  # fmt: skip
    table = ledger.table([row], ["trial"])
    assert "**There are layers.**" in table
    assert 'href="trial.html#trial"' in table


def test_a_folder_of_answers_that_is_not_there_is_named_unless_there_may_be_none(tmp_path):
    gone = tmp_path / "gone"
    with pytest.raises(DataError, match=r"there is no folder .*gone"):
        studies.published("chance", gone)
    assert studies.published("chance", gone, optional=True) == {}
    assert {row.verdict for row in ledger.beyond_rows(gone)} == {NOT_RUN}


def test_a_foreign_file_among_the_published_is_named(trial, tmp_path):
    (tmp_path / "trial-x.nc").write_text("foreign")
    with pytest.raises(DataError, match=r"trial-x\.nc cannot be read"):
        studies.published("trial", tmp_path)


def test_two_answers_of_one_title_are_named_and_none_is_lost(trial, tmp_path):
    studies.study("trial", SMOKE, output=tmp_path / "runs")
    whole = studies.study_path("trial", SMOKE, tmp_path / "runs").read_bytes()
    for name in ("trial-a.nc", "trial-b.nc"):
        (tmp_path / name).write_bytes(whole)
    with pytest.raises(DataError, match=r"trial-b\.nc is a second answer of trial for ConvNet"):
        studies.published("trial", tmp_path)


def test_a_study_that_needs_brainiak_says_so_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shared_geometry.srm.reference.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package brainiak"):
        studies.study("choices", SMOKE, output=tmp_path / "runs")
    with pytest.raises(InputError, match="needs the package brainiak"):
        run(Config.from_preset("smoke", solver="brainiak"), output=tmp_path / "runs")
    assert list(tmp_path.rglob("network-*")) == []


@pytest.mark.parametrize("name", studies.names())
def test_every_study_has_its_chapter_and_a_claim_whose_figure_is_there(name):
    claim = studies.claim_of(name)
    pages = {page.name: page for page in read_pages(ROOT)}
    text = pages[name].source(ROOT).read_text()
    assert f'name="{claim.figure}"' in text
    assert f'study("{name}"' in text


@pytest.mark.parametrize("name", studies.names())
def test_every_study_says_by_name_which_other_modules_its_numbers_come_from(name):
    used = getattr(studies._module(name), "USES", ())
    for module in used:
        assert (ROOT / f"src/shared_geometry/{module}.py").is_file()
        assert source_digest(module) != source_digest()


def test_an_answer_depends_on_the_source_in_its_folder(monkeypatch):
    monkeypatch.setattr(studies, "source_digest", lambda *modules: modules)
    assert "beyond/heads/*" in studies._code("heads")
    assert source_digest("beyond/heads/*") != source_digest("beyond/heads/study")


def test_every_published_answer_can_be_read_and_judged():
    for row in ledger.beyond_rows(ROOT / "results" / "beyond"):
        assert row.found is None or row.found.value
