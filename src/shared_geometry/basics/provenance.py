"""Where a number comes from: commit, versions, machine."""

import hashlib
import json
import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from shared_geometry.basics.devices import describe_hardware

_PACKAGE = Path(__file__).resolve().parent.parent
_ANALYSIS = (
    "basics/arrays",
    "basics/labelled",
    "basics/randomness",
    "datasets/loading",
    "networks/*",
    "srm/*",
    "rsa",
    "statistics",
    "experiment/analysis",
    "experiment/shared_space",
    "experiment/nulls",
    "experiment/controls",
    "experiment/plan",
    "experiment/steps",
    "experiment/results",
)
_PACKAGES = ("shared-geometry", "torch", "numpy", "scipy", "scikit-learn", "brainiak")


def commit() -> str:
    """Commit of the source that runs: ``+`` marks local changes, ``unknown`` no git.

    Without git ``$SHARED_GEOMETRY_COMMIT`` may tell which it is.
    """

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(_PACKAGE), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # not a repository that we are merely in
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("SHARED_GEOMETRY_COMMIT", "unknown")


def versions() -> dict[str, str]:
    """Version of each package that numbers depend on, where it is installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source_digest(*more: str) -> str:
    """Hash of the modules that stand between a network's activity and a result, and of more.

    Parameters
    ----------
    *more : str
        Other modules, or patterns of their paths, from the package's folder, without ``.py``.
    """
    digest = hashlib.sha256()
    for pattern in (*_ANALYSIS, *more):
        for module in sorted(_PACKAGE.glob(f"{pattern}.py")):
            digest.update(module.read_bytes())
    return digest.hexdigest()[:16]


def provenance() -> dict[str, str]:
    """``commit``, ``versions`` (JSON) and ``hardware`` of this process, as strings."""
    return {
        "commit": commit(),
        "versions": json.dumps(versions(), sort_keys=True),
        "hardware": describe_hardware(),
    }


def this_process() -> str:
    """Commit, machine and versions of this process, in one line."""
    names = ", ".join(f"{name} {found}" for name, found in versions().items())
    return f"computed with this page; commit {commit()[:12]}; {describe_hardware()}; {names}"
