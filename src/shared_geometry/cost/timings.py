"""What the benchmarks measured, read and put into words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import NAMES
from shared_geometry.errors import DataError
from shared_geometry.experiment.results import config_of

_NEEDED = {  # of the file that each benchmark writes
    "srm": {"cases", "growth"},
    "srm-cuda": {"cases"},
    "training": {"results", "settings"},
    "binder": {"chapters", "limit", "cores"},
    "pages": {"pages", "settings"},
    "scale": {"paper", "growth"},
}
_ALWAYS = {"commit", "hardware", "versions"}
_COMPARED = ("solver", "seconds", "× ours", "fit", "held out", "GiB", "× floor")


def read_timings(path: str | Path) -> dict[str, Any]:
    """Results file of a benchmark of `benchmarks/`, by its name.

    Raises
    ------
    DataError
        If it is missing, not JSON, or lacks something.
    """
    path = Path(path)
    remake = f"`make bench-{path.stem.partition('-')[0]}` writes it"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise DataError(f"there is no file {str(path)!r}; {remake}") from None
    except ValueError as error:
        raise DataError(f"{path.name} is no JSON: {error}") from None
    needed = _NEEDED.get(path.stem, set()) | _ALWAYS
    if not isinstance(found, dict) or (missing := needed - set(found)):
        lacks = "an object" if not isinstance(found, dict) else ", ".join(sorted(missing))
        raise DataError(f"{path.name} lacks {lacks}; {remake} anew")
    return found


def slope(size: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent p of seconds = c size^p, by least squares on the logarithms."""
    return float(np.polyfit(np.log(size), np.log(seconds), 1)[0])


def _who(row: Mapping[str, Any]) -> str:
    return "this package" if row["who"] == "ours" else f"BrainIAK {row['who']}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.2g}"


def comparison(timings: Mapping[str, Any]) -> str:
    """A table for each case as Markdown: seconds, ratio, variance explained, memory, floor."""
    parts = []
    for case in timings["cases"]:
        rows = [(_who(row), row) for row in case["rows"]]
        if early := case.get("as_good"):
            how = ", ".join(f"{name}={value:g}" for name, value in early["options"].items())
            rows.insert(1, (f"as good as theirs, `{how}`", early))
        cells = [
            [
                who,
                _seconds(row["seconds"]),
                f"{row['ratio']:.1f}",
                f"{row['fit']:.5f}",
                f"{row['held_out']:.5f}",
                f"{row['memory']:.2f}",
                f"{row['over_floor']:.1f}",
            ]
            for who, row in rows
        ]
        name = case["case"].replace(" x ", " × ")
        parts.append(f"**{name}**\n\n{table(_COMPARED, cells, 'lrrrrrr')}\n")
    return "\n".join(parts)


def summary(timings: Mapping[str, Any]) -> str:
    """The comparison in a few sentences, and where it was made."""
    ratios = [row["ratio"] for case in timings["cases"] for row in case["rows"][1:]]
    gains = [
        case["rows"][0]["fit"] - max(row["fit"] for row in case["rows"][1:])
        for case in timings["cases"]
    ]
    memory = [
        row["memory"] / case["rows"][0]["memory"]
        for case in timings["cases"]
        for row in case["rows"][1:]
    ]
    return (
        f"BrainIAK takes {min(ratios):.0f} to {max(ratios):.0f} times as long, and "
        f"{min(memory):.1f} to {max(memory):.0f} times the memory. The part of the variance "
        f"explained on the samples of the fit differs from that of its better solver by "
        f"{_signed(min(gains))} to {_signed(max(gains))}. {_as_good(timings)}"
        f"Measured on {timings['hardware']}."
    )


def _as_good(timings: Mapping[str, Any]) -> str:
    """What BrainIAK takes over ours where ours is stopped at a fit no worse than its."""
    ratios = [
        row["seconds"] / case["as_good"]["seconds"]
        for case in timings["cases"]
        if "as_good" in case
        for row in case["rows"][1:]
    ]
    if not ratios:
        return ""
    return (
        "Where ours explains more and is stopped as soon as it explains as much "
        f"(“as good as theirs”), they take {min(ratios):.0f} to {max(ratios):.0f} times as "
        "long. "
    )


def _signed(value: float) -> str:
    return f"{value * 1e5:+.1f}".replace("-", "−") + " × 10⁻⁵"


def provenance_line(timings: Mapping[str, Any]) -> str:
    """Commit, machine and versions of the measurement, for under a figure."""
    versions = json.loads(timings["versions"])
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Commit {timings['commit']}; {timings['hardware']}; {names}."


def chapters_table(timings: Mapping[str, Any], chapters: Iterable[str]) -> str:
    """Seconds and peak memory of each chapter as Markdown, and what it was confined to.

    Parameters
    ----------
    timings : mapping
        What `benchmarks/binder.py` measured.
    chapters : iterable of str
        All that the book has: those not measured yet are named.
    """
    measured = [row["chapter"] for row in timings["chapters"]]
    missing = [name for name in dict.fromkeys(chapters) if name not in measured]
    added = f" Not measured yet: {', '.join(missing)}." if missing else ""
    rows = [
        [row["chapter"], f"{row['seconds']:.0f}", f"{row['memory']:.2f}"]
        for row in timings["chapters"]
    ]
    cores = "one core" if timings["cores"] == 1 else f"{timings['cores']} cores"
    return (
        f"{table(['chapter', 'seconds', 'memory (GB)'], rows, 'lrr')}\n\n"
        f"Measured on {cores} of {timings['hardware']}, with at most {timings['limit']:g} GB "
        f"allowed, commit {timings['commit'][:12]}.{added}"
    )


def training_table(timings: Mapping[str, Any]) -> str:
    """Images a second of a population and of a plain loop as Markdown."""
    rows = []
    for name, found in timings["results"].items():
        speeds = found["images_per_second"]
        rows += [
            [
                NAMES[name],
                precision,
                f"{speeds[f'ours, {precision}']:,}",
                f"{speeds[found['peer']]:,}",
                f"{ratio:.2f}",
            ]
            for precision, ratio in found["ratio"].items()
        ]
    head = ["network", "ours in", "ours, images/s", "plain loop, images/s", "ratio"]
    return (
        f"{table(head, rows, 'llrrr')}\n\n"
        f"Median over turns; {timings['settings']['networks']} networks on "
        f"{timings['settings']['images']:,} images each, {timings['hardware']}, commit "
        f"{timings['commit'][:12]}."
    )


def runs_table(runs: Iterable[xr.Dataset]) -> str:
    """What the training of published populations took, as Markdown.

    Parameters
    ----------
    runs : iterable of Dataset
        Their results.
    """
    rows = []
    for results in runs:
        config = config_of(results)
        how = json.loads(results.attrs["recipe"])
        minutes = results.attrs["seconds_training"] / 60
        machine = results.attrs["hardware"]
        rows.append(
            [
                f"{NAMES[config.architecture]}, {NAMES[config.dataset]}",
                str(results.sizes["network"]),
                f"{how['name']}, {how['epochs']}",
                f"{minutes:.0f}",
                "GPU" if on_gpu(machine) else "core",
                f"{machine}, commit {results.attrs['commit'][:12]}",
            ]
        )
    head = ["networks", "how many", "recipe, epochs", "minutes", "of a", "machine"]
    return table(head, rows, "lrlr")


def on_gpu(hardware: str) -> bool:
    """Whether a machine, as `describe_hardware` names it, has a GPU."""
    return not hardware.endswith("cores")


def pages_table(timings: Mapping[str, Any]) -> str:
    """Seconds to the first figure and weight of each page as Markdown, beside Plotly's own."""
    rows = [
        [
            row["page"],
            *(f"{row['seconds'][who]:.2f}" for who in ("ours", "plotly")),
            f"{row['ratio']:.1f}",
            *(f"{row['megabytes'][who]:.2f}" for who in ("ours", "plotly")),
        ]
        for row in timings["pages"]
    ]
    head = ["page", "first figure, s", "Plotly's own, s", "ratio", "page, MB", "Plotly's own, MB"]
    return (
        f"{table(head, rows, 'lrrrrr')}\n\n"
        f"Median of {timings['settings']['turns']} visits with "
        f"{timings['settings']['browser']}, nothing cached; {timings['hardware']}, "
        f"commit {timings['commit'][:12]}."
    )
