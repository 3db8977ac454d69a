"""What a numpydoc docstring leaves unsaid: parameters without a name there, a result, errors."""

import importlib
import inspect
import re
from inspect import getsource

from pydantic import BaseModel

SECTION = re.compile(r"^(Parameters|Attributes|Returns|Yields|Raises|Notes)\n-+\n", re.MULTILINE)
REFUSES = re.compile(r"\braise (Input|Data)Error\b")


def find(name):
    """The class, function or method of that full name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            it = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            it = inspect.getattr_static(it, part)
            it = getattr(it, "__func__", it)
        return it
    raise ModuleNotFoundError(name)


def said(it):
    """Text of each section of a docstring."""
    parts = SECTION.split(inspect.getdoc(it) or "")
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def is_model(it):
    return inspect.isclass(it) and issubclass(it, BaseModel)


def unsaid(it):
    """Names of parameters, and "Returns" and "Raises", that the docstring lacks."""
    made = it.__init__ if inspect.isclass(it) else it
    if not inspect.isfunction(made) or is_model(it):
        return []  # a named tuple or a model, whose fields are described one by one
    signature, sections = inspect.signature(made), said(it)
    told = sections.get("Parameters", "") + "\n" + sections.get("Attributes", "")
    heads = re.findall(r"^(\S.*?)(?: :.*)?$", told, re.MULTILINE)
    named = {name.strip("* ") for head in heads for name in head.split(",")}
    missing = [name for name in signature.parameters if name not in {"self", "cls", *named}]
    gives = signature.return_annotation not in (None, "None", inspect.Signature.empty)
    if gives and not inspect.isclass(it) and not {"Returns", "Yields"} & set(sections):
        missing.append("Returns")
    if not inspect.isclass(it) and "Raises" not in sections and REFUSES.search(getsource(it)):
        missing.append("Raises")
    together = re.findall(r"^(\w.*, .*?) :", sections.get("Attributes", ""), re.MULTILINE)
    return missing + [f"{names}, one by one" for names in together]  # Sphinx tells the last alone
