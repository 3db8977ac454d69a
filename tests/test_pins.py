"""The pinned versions install on the oldest Python that the project promises."""

import re
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from conftest import ROOT
from packaging.specifiers import SpecifierSet

PINS = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.M)
OLDEST = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]


@pytest.mark.parametrize(("name", "version"), PINS, ids=[name for name, _ in PINS])
def test_a_pinned_version_installs_on_the_oldest_python(name, version):
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return  # a pin of something that another platform needs
    wanted = found.metadata.get("Requires-Python") or ""
    assert found.version.partition("+")[0] == version, "make env brings the pinned version"
    assert SpecifierSet(wanted).contains(f"{OLDEST}.0"), f"{name} {version} wants {wanted}"
