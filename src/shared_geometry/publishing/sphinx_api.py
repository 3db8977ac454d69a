"""What the pages of the package need from Sphinx: fields are told, short names lead somewhere."""

import inspect
import json
import re
from contextlib import suppress
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_FIELD = r"^    {name}: (?P<type>[^#\n]+?)(?:\s+= [^#\n]+?)?(?:\s+# (?P<comment>.+))?$"


def fields(named_tuple: type) -> dict[str, tuple[str, str]]:
    """Type and comment of each field of a `NamedTuple`, as they stand in its source."""
    source = inspect.getsource(named_tuple)
    found = {}
    for name in named_tuple._fields:
        line = re.search(_FIELD.format(name=name), source, re.MULTILINE)
        found[name] = (line["type"], line["comment"] or "") if line else ("", "")
    return found


def type_name(type_: Any) -> str:
    """An annotation as numpydoc writes types."""
    parts = get_args(type_)
    if get_origin(type_) is Literal:
        return "{" + ", ".join(json.dumps(part) for part in parts) + "}"
    if get_origin(type_) is Annotated:
        return type_name(parts[0])
    if get_origin(type_) is tuple:
        return f"tuple of {type_name(parts[0])}"
    if NoneType in parts:
        return ", ".join(type_name(part) for part in parts if part is not NoneType) + ", optional"
    return getattr(type_, "__name__", str(type_))


def model_fields(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Type and description of each field of a model, with its default."""
    found = {}
    for name, field in model.model_fields.items():
        default = "" if field.default is None else f" (default: {field.default})"
        found[name] = (type_name(field.annotation), f"{field.description}{default}")
    return found


def _described(it: Any) -> dict[str, tuple[str, str]]:
    """Fields of a class that are described where they stand."""
    if inspect.isclass(it) and issubclass(it, tuple) and hasattr(it, "_fields"):
        return fields(it)
    return model_fields(it) if inspect.isclass(it) and issubclass(it, BaseModel) else {}


def describe_fields(
    app: Sphinx, what: str, name: str, it: Any, options: Any, lines: list[str]
) -> None:
    """List the fields of a named tuple or a model under what its docstring says."""
    if what == "class" and not any(":ivar " in line for line in lines):
        for field, (type_, comment) in _described(it).items():
            lines += [f":ivar {field}: {comment}", f":vartype {field}: {type_}"]
        lines.append("")


def keep_underscores(
    app: Sphinx, what: str, name: str, it: Any, options: Any, lines: list[str]
) -> None:
    """Fitted attributes keep the underscore at their end, which to Sphinx makes a link of them."""
    lines[:] = [re.sub(r"^:(ivar|vartype) (\w+)_:", r":\1 \2\\_:", line) for line in lines]


def note_source(app: Sphinx, what: str, name: str, it: Any, options: Any, lines: list[str]) -> None:
    """A page is made again when the source of what it tells of changes; tables would forget it."""
    with suppress(TypeError):  # what is not of Python
        app.env.note_dependency(inspect.getsourcefile(inspect.unwrap(it)))


def skip_aliases(app: Sphinx, what: str, name: str, it: Any, skip: bool, options: Any) -> bool:
    """Leave out the entries that Python makes for the fields of a named tuple."""
    return skip or (inspect.getdoc(it) or "").startswith("Alias for field number")


def link_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """`module.name` leads to the one documented thing whose full name ends so."""
    if node.get("refdomain") != "py" or "." not in node["reftarget"]:
        return None
    domain = env.get_domain("py")
    ends = [name for name in domain.objects if name.endswith("." + node["reftarget"])]
    if len(ends) != 1:
        return None
    node["py:module"] = node["py:class"] = None
    return domain.resolve_xref(
        env, node.get("refdoc", env.docname), app.builder, "obj", ends[0], node, text
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", describe_fields, priority=900)  # after napoleon
    app.connect("autodoc-process-docstring", keep_underscores, priority=900)
    app.connect("autodoc-process-docstring", note_source)
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("missing-reference", link_short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
