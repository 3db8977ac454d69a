"""What can be imported from the package itself."""

import subprocess
import sys

import pytest

import shared_geometry


@pytest.mark.parametrize("name", shared_geometry.__all__)
def test_a_name_leads_to_where_it_lives(name):
    thing = getattr(shared_geometry, name)
    assert thing.__module__.startswith("shared_geometry.")
    assert thing.__doc__
    assert name in dir(shared_geometry)


def test_a_name_that_is_not_there_is_told():
    with pytest.raises(AttributeError, match="'shared_geometry' has no attribute 'RSM'"):
        shared_geometry.RSM  # noqa: B018


def test_importing_the_package_alone_loads_nothing_heavy():
    code = "import sys, shared_geometry; print(*sorted({'torch', 'xarray'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
