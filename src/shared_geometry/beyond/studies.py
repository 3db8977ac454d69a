"""Studies beyond the paper: each asks one question of a trained population, and keeps the answer.

A study is a folder here.  Its ``study.py`` has a function ``measure(it, parts, progress)`` from a
plan, whose networks are trained, to a labelled data set, and a number ``FORMAT``, to be raised when
that changes; ``parts`` keeps what it has finished, should it be killed.  ``CLAIM`` is what it puts
to the test.  ``USES`` may name modules elsewhere that its numbers depend on, ``ARCHITECTURES`` of
which networks alone it can ask, and ``check(it)`` refuses a plan that it cannot ask.  It is found
by the folder's name, run once, kept beside the results of the run, and read again.
"""

import pkgutil
import shutil
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import xarray as xr

from shared_geometry import beyond
from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.files import files_in, reuse, writable_folder
from shared_geometry.basics.labelled import read_labelled, write_labelled
from shared_geometry.basics.locking import locked
from shared_geometry.basics.provenance import provenance, source_digest
from shared_geometry.basics.wording import NAMES
from shared_geometry.claims.catalogue import Claim
from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment.parts import Parts
from shared_geometry.experiment.plan import Plan, plan
from shared_geometry.experiment.population import Progress, silent, train
from shared_geometry.experiment.results import JACKKNIFE
from shared_geometry.networks.architectures import ARCHITECTURES


def names() -> list[str]:
    """Names of all studies, which are those of their folders."""
    return [found.name for found in pkgutil.iter_modules(beyond.__path__) if found.ispkg]


def _module(name: str) -> ModuleType:
    if name not in names():
        raise InputError(f"there is no study {name!r}; known are {', '.join(names())}")
    return import_module(f"{beyond.__name__}.{name}.study")


def _form(name: str) -> str:
    return f"{name} {_module(name).FORMAT}"


def _remake(name: str) -> str:
    return f"shared-geometry study {name}"


def claim_of(name: str) -> Claim:
    """What the study ``name`` puts to the test, and the rule that judges its answers."""
    return _module(name).CLAIM


def architectures(name: str) -> tuple[str, ...]:
    """Architectures that the study ``name`` can be asked of.

    Raises
    ------
    InputError
        If there is no such study.
    """
    return getattr(_module(name), "ARCHITECTURES", ARCHITECTURES)


def _code(name: str) -> str:
    """Hash of the source that the study's numbers depend on."""
    used = getattr(_module(name), "USES", ())
    return source_digest("experiment/population", f"beyond/{name}/*", *used)


def load_study(name: str, path: str | Path) -> xr.Dataset:
    """Read and check a file of the study ``name``.

    Raises
    ------
    DataError
        If the file is missing, cut short, altered, or of another study.
    """
    return read_labelled(path, _form(name), _remake(name))


def planned(
    name: str, config: Config, root: str | Path | None = None, output: str | Path = "runs"
) -> Plan:
    """The plan of ``config`` if the study ``name`` can do with it; nothing is written.

    Parameters
    ----------
    name, config, root, output
        As in `study`.

    Returns
    -------
    Plan

    Raises
    ------
    InputError, DataError
        If a name, ``config`` or the data cannot be used.
    """
    if config.architecture not in architectures(name):
        raise InputError(
            f"architecture={config.architecture!r} is not allowed for the study {name!r}: "
            f"{' or '.join(architectures(name))}"
        )
    it = plan(config, root, output)
    resolve_device(config.device)
    if check := getattr(_module(name), "check", None):
        check(it)
    return it


def study(
    name: str,
    config: Config,
    *,
    root: str | Path | None = None,
    output: str | Path = "runs",
    progress: Progress = silent,
) -> xr.Dataset:
    """Answer of a study for the population of ``config``, which is trained if it is not.

    Every finished part is on disk under ``output`` and is not done again; a study that was killed
    goes on where it was.

    Parameters
    ----------
    name : str
        One of `names`.
    config : Config
    root, output : path, optional
        As in `experiment.run`; the two share networks.
    progress : callable
        Called as ``progress(stage, done, total, note)``.

    Returns
    -------
    xarray.Dataset
        What the study's ``measure`` returns, and in its attributes how it was made.

    Raises
    ------
    InputError, DataError
        Before any work is done, if a name, ``config``, the data or ``output`` cannot be used.
    """
    it = planned(name, config, root, output)
    writable_folder(output)
    path, origin = study_path(name, config, output), it.origin | {"code": _code(name)}
    with locked(it.folder.with_name(f".{it.folder.name}.lock")):
        ready = reuse(path, lambda p: load_study(name, p))
        if ready is not None and origin.items() <= ready.attrs.items():
            return ready
        start = time.monotonic()
        train(it, progress)
        scratch = path.with_suffix(".parts")
        parts = Parts(scratch / "-".join(origin.values()), f"part of {_form(name)}", _remake(name))
        found = _module(name).measure(it, parts, progress)
        found.attrs |= {
            "study": name,
            "title": f"{NAMES[config.architecture]}, {NAMES[config.dataset]}",
            "config": config.to_json(),
            "recipe": it.recipe.to_json(),
            "command": config.command.replace("run", f"study {name}", 1),
            **origin,
            "geometry_intervals": JACKKNIFE,
            "seconds": round(time.monotonic() - start + parts.seconds, 1),
            **provenance(),
        }
        write_labelled(found, path, _form(name))
        shutil.rmtree(scratch, ignore_errors=True)
    return load_study(name, path)


def study_path(name: str, config: Config, output: str | Path = "runs") -> Path:
    """Where the answer of a study for ``config`` is kept."""
    return Path(output).expanduser() / config.digest / f"{name}.nc"


def live_name(config: Config) -> str:
    """What menus call the population that a page has made itself: short, to fit a phone."""
    short = "digits" if config.dataset == "digits" else NAMES[config.dataset]
    return f"{short}, live"


def published(name: str, folder: str | Path, *, optional: bool = False) -> dict[str, xr.Dataset]:
    """Answers of a study that lie in ``folder`` as ``<name>-<condition>.nc``, by their titles.

    Parameters
    ----------
    name : str
    folder : path
    optional : bool
        True: a folder that is not there holds no answers, and is no error.

    Returns
    -------
    dict of str to xarray.Dataset

    Raises
    ------
    DataError
        If there is no folder, an answer cannot be read, or two have one title.
    InputError
        If an answer is of a study that there is not.
    """
    found: dict[str, xr.Dataset] = {}
    if optional and not Path(folder).exists():
        return found
    for path in files_in(folder, f"{name}-*.nc"):
        answer = load_study(name, path)
        if (title := answer.attrs["title"]) in found:
            raise DataError(f"{path.name} is a second answer of {name} for {title}; keep one")
        found[title] = answer
    return found
