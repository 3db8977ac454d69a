from shared_geometry.basics import provenance


def test_without_git_the_environment_may_tell_the_commit(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", missing)
    monkeypatch.delenv("SHARED_GEOMETRY_COMMIT", raising=False)
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("SHARED_GEOMETRY_COMMIT", "abc")
    assert provenance.commit() == "abc"


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
