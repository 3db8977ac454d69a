"""What Sphinx is told for the pages of the package."""

from types import SimpleNamespace
from typing import Annotated, Literal, NamedTuple

import pytest
from docstrings import find, unsaid
from pydantic import BaseModel, Field
from sphinx.addnodes import pending_xref

from shared_geometry.errors import InputError
from shared_geometry.publishing.sphinx_api import (
    describe_fields,
    fields,
    keep_underscores,
    link_short_name,
    model_fields,
    note_source,
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


def test_fitted_attributes_keep_their_underscore():
    lines = [":ivar w_: Bases, as `w_`.", ":vartype w_: list", ":ivar k: Many."]
    keep_underscores(None, "class", "SRM", None, None, lines)
    assert lines == [r":ivar w\_: Bases, as `w_`.", r":vartype w\_: list", ":ivar k: Many."]


def test_a_page_depends_on_the_source_of_what_it_tells_of():
    noted = []
    app = SimpleNamespace(env=SimpleNamespace(note_dependency=noted.append))
    note_source(app, "function", "unsaid", unsaid, None, [])
    note_source(app, "data", "number", 3, None, [])
    assert noted == [unsaid.__code__.co_filename]


class Choice(BaseModel):
    """Two fields."""

    kind: Literal["a", "b"] = Field("a", description="which")
    places: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(None, description="None: all")


def test_fields_of_a_model_are_described_with_types_and_defaults():
    assert model_fields(Choice) == {
        "kind": ('{"a", "b"}', "which (default: a)"),
        "places": ("tuple of float, optional", "None: all"),
    }
    lines = []
    describe_fields(None, "class", "Choice", Choice, None, lines)
    assert ":ivar places: None: all" in lines


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


def told(first: int, *rest: int, second: str = "") -> int:
    """Adds.

    Parameters
    ----------
    first, *rest : int
    second : str

    Returns
    -------
    int
    """


def half_told(first: int, second: int) -> int:
    """Adds.

    Parameters
    ----------
    first : int
        The second is not named here.
    """
    if second < first:
        raise InputError("no")


class Both:
    """Two.

    Attributes
    ----------
    first, second : int
    """

    def __init__(self, first: int, second: int) -> None:
        self.first, self.second = first, second


def test_what_a_docstring_leaves_unsaid_is_found():
    assert unsaid(told) == []
    assert unsaid(half_told) == ["second", "Returns", "Raises"]
    assert unsaid(Pair) == []
    assert unsaid(Both) == ["first, second, one by one"]
    assert find("shared_geometry.srm.SRM.fit").__qualname__ == "SRM.fit"
    assert find("shared_geometry.config.Config.from_preset").__name__ == "from_preset"
