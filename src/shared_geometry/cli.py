"""The command line: `shared-geometry run`, `study`, `page` and others, thin faces of modules."""

import ast
import errno
import json
import shutil
import signal
import sys
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any

import typer
import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared_geometry import __version__, beyond
from shared_geometry.bars import Bars
from shared_geometry.basics.files import fresh, writable_file, writable_folder
from shared_geometry.basics.wording import interval_text
from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console()
errors = Console(stderr=True, highlight=False)
_CONTROL_C = 128 + signal.SIGINT  # exit status, as shells have it
_STUDIES = ", ".join(found.name for found in iter_modules(beyond.__path__) if found.ispkg)
_ANY_OTHER = "any other field, as field=value: checkpoints=[0,1], centre=false"

_Dataset = Annotated[
    str | None, typer.Option(help="digits, cifar10 or cifar100", show_default="digits")
]
_Architecture = Annotated[
    str | None, typer.Option(help="convnet or resnet18", show_default="convnet")
]
_Preset = Annotated[
    str | None, typer.Option(help="smoke, quick, fast or paper", show_default="quick")
]
_Fields = Annotated[list[str] | None, typer.Option("--set", help=_ANY_OTHER)]
_Root = Annotated[Path | None, typer.Option(help="folder of the data sets")]
_Output = Annotated[Path, typer.Option(help="folder for networks and results")]


def _value(text: str) -> Any:
    """JSON, else a Python literal, else the text itself."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return read(text)
    return text


def _fields(pairs: list[str], options: dict[str, Any]) -> dict[str, Any]:
    """All fields: those of options, and those of ``--set``, which may not say one again."""
    fields = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} is not allowed: write it as field=value")
        if options.get(name) is not None or name in fields:
            raise InputError(f"--set {pair!r}: {name} is given twice; expected once")
        fields[name] = _value(text)
    return options | fields


def _config(fields: list[str] | None, options: dict[str, Any]) -> Config:
    """The config of what was said; what was not has its default there."""
    said = _fields(fields or [], options).items()
    return Config.from_preset(**{name: value for name, value in said if value is not None})


def summary(results: xr.Dataset) -> Table:
    """Table of a run's last checkpoint: a row a layer, each measure with its 95 % interval."""
    when = f", epoch {float(results.checkpoint[-1]):g}" if "config" in results.attrs else ""
    table = Table(title=escape(f"{results.attrs['title']}{when}"))
    for heading in ("layer", "corr(wRSM, iRSM) shared", "native"):
        table.add_column(heading)
    for heading in ("variance, published", "others only, means subtracted", "RSM consistency"):
        table.add_column(heading)
    last = results.isel(checkpoint=-1).sel(reading="published")

    def cell(values: xr.DataArray) -> str:
        return interval_text(values, 3)

    for layer in results.layer.values:
        row = last.sel(layer=layer)
        table.add_row(
            escape(str(layer)),
            cell(row.geometry_current.sel(space="shared")),
            cell(row.geometry_current.sel(space="native")),
            cell(row.variance_interval.sel(measure="published")),
            cell(row.variance_interval.sel(measure="left out")),
            cell(row.consistency),
        )
    return table


@app.command()
def run(
    dataset: _Dataset = None,
    architecture: _Architecture = None,
    preset: _Preset = None,
    networks: Annotated[int | None, typer.Option(help="how many networks")] = None,
    epochs: Annotated[int | None, typer.Option(help="passes over the training images")] = None,
    seed: Annotated[int | None, typer.Option(help="the one seed of all draws")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda")] = None,
    fields: _Fields = None,
    executor: Annotated[
        str | None, typer.Option(help="processes://4, dask://host:port or dask:///scheduler.json")
    ] = None,
    root: _Root = None,
    output: _Output = Path("runs"),
    save: Annotated[Path | None, typer.Option(help="copy the results to this file")] = None,
) -> None:
    """Train a population, align it, compare it, and print what came out."""
    from shared_geometry.experiment import run
    from shared_geometry.experiment.executors import executor_at
    from shared_geometry.experiment.plan import needs

    options = {
        "preset": preset,
        "dataset": dataset,
        "architecture": architecture,
        "networks": networks,
        "epochs": epochs,
        "seed": seed,
        "device": device,
    }
    config = _config(fields, options)
    needed = needs(config, root, output)
    save = None if save is None else writable_file(save)
    output = writable_folder(output)
    errors.print(needed)
    free = shutil.disk_usage(output).free
    errors.print(f"{free / 1e9:.2f} GB are free in {escape(str(output))}")
    workers = (
        nullcontext()
        if executor is None
        else executor_at(executor, gpus=int(config.device == "cuda"))
    )
    with workers as where, Bars(errors) as bars:
        results = run(config, root=root, output=output, executor=where, progress=bars)
    console.print(summary(results))
    _deliver(output / config.digest / "results.nc", save)


def _deliver(path: Path, save: Path | None) -> None:
    """Copy a results file to where the user wants it, and say where it is."""
    if save is not None:
        with fresh(save) as aside:
            shutil.copyfile(path, aside)
    console.print(f"Results: {escape(str(save or path))}", soft_wrap=True)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help=f"what is asked, a chapter beyond: {_STUDIES}")],
    dataset: _Dataset = None,
    architecture: _Architecture = None,
    preset: _Preset = None,
    fields: _Fields = None,
    root: _Root = None,
    output: _Output = Path("runs"),
    save: Annotated[Path | None, typer.Option(help="copy the answer to this file")] = None,
) -> None:
    """Ask a population one of the questions beyond the paper, and keep the answer."""
    from shared_geometry.beyond.studies import claim_of, planned, study, study_path

    options = {"preset": preset, "dataset": dataset, "architecture": architecture}
    config = _config(fields, options)
    planned(name, config, root, output)
    save = None if save is None else writable_file(save)
    with Bars(errors) as bars:
        found = study(name, config, root=root, output=output, progress=bars)
    claim = claim_of(name)
    verdict = claim.judge(found)
    console.print(f"{escape(claim.text)}: {verdict.outcome}", soft_wrap=True)
    console.print(f"Rule: {escape(claim.rule)}", soft_wrap=True)
    console.print(f"Found: {escape(verdict.value)}", soft_wrap=True)
    _deliver(study_path(name, config, output), save)


def _tell_version(asked: bool) -> None:
    if asked:
        console.print(__version__, highlight=False)
        raise typer.Exit


@app.callback()
def _of_all(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="print it, and end"),
    ] = False,
) -> None:
    """Shared representational geometry across neural networks."""


@app.command()
def show(path: Annotated[Path, typer.Argument(help="a results file (.nc)")]) -> None:
    """Print the summary and the provenance of a results file."""
    from shared_geometry.claims.verdicts import verdicts
    from shared_geometry.experiment.results import load_results

    results = load_results(path)
    console.print(summary(results))
    if "config" not in results.attrs:  # from `yours.compare`: they may be no run
        for it in verdicts(results):
            console.print(f"{escape(it.layer)}: one geometry? {it.answer}", soft_wrap=True)
    for name in ("command", "commit", "hardware", "versions", "seconds"):
        if name in results.attrs:  # no command: they come from `yours.compare`
            console.print(f"{name}: {escape(str(results.attrs[name]))}", soft_wrap=True)


@app.command()
def page(
    results: Annotated[Path, typer.Argument(help="a results file (.nc)")],
    name: Annotated[str | None, typer.Option(help="of the page; else data set and network")] = None,
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
) -> None:
    """Add a run to the book as a page of its own; `make book` then builds it."""
    from shared_geometry.publishing.new_page import add_page

    added = add_page(results, name=name, title=title)
    console.print(f"page {added}: results/{added}.nc; `make book` builds it")


@app.command()
def data(
    names: Annotated[list[str], typer.Argument(help="digits, cifar10, cifar100")],
    root: _Root = None,
) -> None:
    """Fetch data sets that are not there yet, and check every byte."""
    from shared_geometry.datasets import load_dataset

    for name in names:
        found = load_dataset(name, root)
        console.print(
            f"{name}: {len(found.train.labels)} training and {len(found.test.labels)} test images,"
            f" {len(found.class_names)} classes"
        )


@app.command()
def book(
    preset: Annotated[str | None, typer.Option(help="preset of the live chapters")] = None,
) -> None:
    """Execute the chapters and build the book into `_build/html`."""
    from shared_geometry.publishing.build import build_book

    build_book(preset=preset)


def _terminated(*_: object) -> None:
    """What a scheduler's signal does: the same as Control-C."""
    raise KeyboardInterrupt


def _stopped() -> None:
    errors.print("stopped; the same command goes on from here")
    sys.exit(_CONTROL_C)


def _say_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    errors.print(f"[yellow]warning:[/yellow] {escape(str(message))}", soft_wrap=True)


def main() -> None:
    """Run the command line; what users did wrong is said in one line."""
    warnings.showwarning = _say_warning
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if status := app(standalone_mode=False):  # typer returns what it would exit with
            raise typer.Exit(status)
    except (InputError, DataError) as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except OSError as error:
        full = error.filename2 or error.filename  # the second is where a copy goes
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            if error.filename is None:
                raise
            errors.print(
                f"[red]error:[/red] {escape(str(error.filename))}: {escape(str(error.strerror))}",
                soft_wrap=True,
            )
            sys.exit(2)
        where = f" ({escape(str(full))})" if full else ""
        errors.print(
            f"[red]error:[/red] the disk is full{where}; what was finished is kept, and with "
            "more room the same command goes on from here",
            soft_wrap=True,
        )
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        _stopped()
    except typer.Exit as done:
        if done.exit_code == _CONTROL_C:
            _stopped()
        sys.exit(done.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        errors.print(f"[red]error:[/red] {escape(error.format_message())}", soft_wrap=True)
        sys.exit(2)
