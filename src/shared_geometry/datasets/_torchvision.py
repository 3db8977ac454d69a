"""The one place where torchvision is imported."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_SCHEMAS = {"torchvision::nms": _BOXES, "torchvision::qnms": _BOXES}


def _is_defined(operator: str) -> bool:
    return bool(torch._C._jit_get_schemas_for_operator(operator))


def define_missing_operators() -> list[str]:
    """Define the schemas that torchvision's import asks for, where they are absent.

    Returns
    -------
    list of str
        The operators that were absent.
    """
    missing = [operator for operator in _SCHEMAS if not _is_defined(operator)]
    for operator in missing:
        torch.library.define(operator, _SCHEMAS[operator])
    return missing


def _own_library_loads() -> bool:
    found = find_spec("torchvision")
    folders = found.submodule_search_locations or [] if found else []
    for library in (path for folder in folders for path in Path(folder).glob("_C*")):
        try:
            torch.ops.load_library(library)
        except OSError:
            continue
        return True
    return False


def import_torchvision() -> ModuleType:
    """torchvision, also where its compiled operators do not fit the installed torch.

    Its wheel carries them in a library built for CUDA, which a CPU-only torch cannot load: the
    import then fails for want of two schemas, though data sets and transforms use neither.  Where
    the library loads, it defines them itself, and a second definition would be an error.
    """
    if "torchvision" not in sys.modules and not _own_library_loads():
        define_missing_operators()
    import torchvision

    return torchvision
