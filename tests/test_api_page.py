"""What Sphinx is told for the page of the package."""

from types import SimpleNamespace
from typing import NamedTuple

import pytest
from sphinx.addnodes import pending_xref

from shared_geometry.publishing.sphinx_api import (
    describe_fields,
    fields,
    link_short_name,
    skip_aliases,
)


class Pair(NamedTuple):
    """Two things."""

    first: tuple[int, str]  # (n,), the larger one
    second: float | None = None  # none: as large
    third: int = 3


def test_fields_are_described_by_the_comments_beside_them():
    assert fields(Pair) == {
        "first": ("tuple[int, str]", "(n,), the larger one"),
        "second": ("float | None", "none: as large"),
        "third": ("int", ""),
    }
    lines = ["Two things.", ""]
    describe_fields(None, "class", "Pair", Pair, None, lines)
    assert ":ivar second: none: as large" in lines
    assert ":vartype second: float | None" in lines


def test_fields_that_a_docstring_describes_stay_as_they_are():
    lines = [":ivar first: said already"]
    describe_fields(None, "class", "Pair", Pair, None, lines)
    assert lines == [":ivar first: said already"]


@pytest.mark.parametrize(
    ("member", "skipped"),
    [(Pair.first, True), (test_fields_that_a_docstring_describes_stay_as_they_are, False)],
)
def test_python_s_own_entries_for_fields_are_left_out(member, skipped):
    assert skip_aliases(None, "class", "first", member, False, None) is skipped


@pytest.mark.parametrize(("target", "found"), [
    ("wood.run", "house.wood.run"), ("stone.run", None), ("run", None), ("b.twice", None)
])  # fmt: skip
def test_a_short_name_leads_to_the_one_thing_that_it_names(target, found):
    names = ("house.wood.run", "house.b.twice", "yard.b.twice")
    domain = SimpleNamespace(
        objects=dict.fromkeys(names), resolve_xref=lambda env, doc, builder, kind, name, *_: name
    )
    env = SimpleNamespace(get_domain=lambda name: domain, docname="api")
    node = pending_xref(refdomain="py", reftarget=target)
    assert link_short_name(SimpleNamespace(builder=None), env, node, None) == found
