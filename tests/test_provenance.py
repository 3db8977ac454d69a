from shared_geometry import provenance


def test_without_git_the_environment_may_tell_the_commit(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", missing)
    monkeypatch.delenv("SHARED_GEOMETRY_COMMIT", raising=False)
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("SHARED_GEOMETRY_COMMIT", "abc")
    assert provenance.commit() == "abc"
