import re
import subprocess

import pytest
from test_rooms import FILES, imported, name_of

from shared_geometry.basics import provenance
from shared_geometry.beyond import studies


def test_without_git_the_environment_may_tell_the_commit(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", missing)
    monkeypatch.delenv("SHARED_GEOMETRY_COMMIT", raising=False)
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("SHARED_GEOMETRY_COMMIT", "abc")
    assert provenance.commit() == "abc"


def test_a_repository_that_merely_encloses_the_package_is_not_its_source(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(("git", "-C", tmp_path, *words), check=True, capture_output=True)

    git("init")
    who = ("-c", "user.name=one", "-c", "user.email=one@example.org")
    git(*who, "commit", "--allow-empty", "-m", "theirs")
    (tmp_path / ".gitignore").write_text(".venv\n")
    package = tmp_path / ".venv" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setattr(provenance, "_PACKAGE", package)
    monkeypatch.delenv("SHARED_GEOMETRY_COMMIT", raising=False)
    assert provenance.commit() == "unknown"
    git("add", "--force", package / "__init__.py")
    git(*who, "commit", "-m", "ours")
    assert re.fullmatch(r"[0-9a-f]{40}", provenance.commit())


def test_every_pattern_of_the_source_that_results_depend_on_names_a_file():
    for pattern in provenance._ANALYSIS:
        assert list(provenance._PACKAGE.glob(f"{pattern}.py")), pattern


# What may change without a number: the files that hold it, what is said of it, and training, whose
# own digest names the networks.
WITHOUT_A_NUMBER = {
    *("basics.devices", "basics.estimators", "basics.files", "basics.locking", "basics.markdown"),
    *("basics.provenance", "basics.wording", "config", "errors", "experiment.parts"),
    *("datasets", "datasets._torchvision", "datasets.cifar", "datasets.cifar_download"),
    *("datasets.download", "theory.propositions"),
}


def _needed(*names):
    """Modules that these import, and those import, but for what makes no number."""
    seen, ahead = set(), [f"shared_geometry.{name}" for name in names]
    while ahead:
        name = ahead.pop().removeprefix("shared_geometry.")
        if name in seen or name in WITHOUT_A_NUMBER or name.split(".")[0] in ("training", "claims"):
            continue
        seen.add(name)
        ahead += imported(FILES[f"shared_geometry.{name}"])
    return seen


def _named(patterns):
    package = provenance._PACKAGE
    paths = {path for pattern in patterns for path in package.glob(f"{pattern}.py")}
    return {name_of(path).removeprefix("shared_geometry.") for path in paths}


def test_the_digest_of_source_covers_all_that_a_result_comes_from():
    assert _needed("experiment.steps", "experiment.results") <= _named(provenance._ANALYSIS)


@pytest.mark.parametrize("name", studies.names())
def test_the_digest_of_a_study_covers_all_that_its_answer_comes_from(name, monkeypatch):
    asked = []
    monkeypatch.setattr(studies, "source_digest", lambda *more: asked.extend(more))
    studies._code(name)
    assert _needed(f"beyond.{name}.study") <= _named([*provenance._ANALYSIS, *asked])


def test_the_digest_of_source_changes_with_a_module(tmp_path, monkeypatch):
    (tmp_path / "srm").mkdir()
    (tmp_path / "srm/model.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    before = provenance.source_digest()
    (tmp_path / "srm/model.py").write_text("x = 2\n")
    assert provenance.source_digest() != before
