import json

import pytest
import xarray as xr
from conftest import ROOT

from shared_geometry.basics.provenance import source_digest
from shared_geometry.beyond import studies
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import FAILS, HOLDS, Found
from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError, SetAside
from shared_geometry.experiment import run
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

    def measure(self, it, progress):
        self.measured += 1
        return xr.Dataset({"depth": len(it.layers)})


@pytest.fixture
def trial(monkeypatch):
    it = Trial()
    real = studies._module
    monkeypatch.setattr(studies, "_module", lambda name: it if name == "trial" else real(name))
    monkeypatch.setattr(studies, "names", lambda: ["trial"])
    return it


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
        ("choices", {"solver": "brainiak"}, "one of the choices is to keep them"),
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
