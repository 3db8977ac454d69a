import re
import subprocess

from shared_geometry.basics import provenance


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


def test_the_digest_of_source_changes_with_a_module(tmp_path, monkeypatch):
    (tmp_path / "srm").mkdir()
    (tmp_path / "srm/model.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    before = provenance.source_digest()
    (tmp_path / "srm/model.py").write_text("x = 2\n")
    assert provenance.source_digest() != before
