"""Finished parts of an answer, kept until it is whole: a study that was killed goes on."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import xarray as xr

from shared_geometry.basics.files import reuse
from shared_geometry.basics.labelled import read_labelled, write_labelled
from shared_geometry.basics.wording import layer_name
from shared_geometry.experiment.analysis import Activity
from shared_geometry.experiment.plan import Plan
from shared_geometry.experiment.population import activities


class Parts:
    """Parts of one answer, each of which is made once.

    Parameters
    ----------
    folder : Path
        Where they lie, and none that other source or other networks have made.
    form : str
        What they are parts of.
    remake : str
        The command that makes them, for a warning.
    """

    def __init__(self, folder: Path, form: str, remake: str) -> None:
        self.folder, self.form, self.remake = folder, form, remake
        self._took: list[float] = []  # seconds, of each part that was there

    def under(self, name: str) -> "Parts":
        """Parts of the same answer that have names of their own."""
        more = Parts(self.folder / name, self.form, self.remake)
        more._took = self._took
        return more

    @property
    def seconds(self) -> float:
        """What the parts took that were there when they were asked for."""
        return sum(self._took)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.nc"

    def _read(self, path: Path) -> xr.Dataset:
        return read_labelled(path, self.form, self.remake).drop_encoding()

    def _made(self, name: str) -> xr.Dataset | None:
        part = reuse(self._path(name), self._read)
        if part is None:
            return None
        self._took.append(float(part.attrs["seconds"]))
        return part.drop_attrs()

    def _make(self, name: str, make: Callable[..., xr.Dataset], *args: object) -> xr.Dataset:
        start = time.monotonic()
        part = make(*args).drop_attrs()
        part.attrs["seconds"] = round(time.monotonic() - start, 3)
        write_labelled(part, self._path(name), self.form)
        return self._read(self._path(name)).drop_attrs()

    def made(self, name: str, make: Callable[..., xr.Dataset], *args: object) -> xr.Dataset:
        """The part ``name``: ``make(*args)``, if it is not there yet.

        Parameters
        ----------
        name : str
            Of its file: letters, digits, dots and dashes.
        make : callable
        *args
            What it is called with.

        Returns
        -------
        xarray.Dataset
            As it is read again, without attributes.
        """
        there = self._made(name)
        return self._make(name, make, *args) if there is None else there

    def each_layer(
        self, it: Plan, checkpoint: float, measure: Callable[[str, Activity], xr.Dataset]
    ) -> Iterator[tuple[str, xr.Dataset]]:
        """``measure(layer, activity)`` of each layer at a checkpoint.

        Networks are recorded if a layer is not there yet.

        Parameters
        ----------
        it : Plan
            Of a trained population.
        checkpoint : float
            Epoch.
        measure : callable
            Of a layer's label and its `Activity`, see `population.activities`.

        Yields
        ------
        layer : str
            From the input on.
        part : xarray.Dataset
        """
        names = {layer: f"epoch-{checkpoint:g}-layer-{layer}" for layer in it.layers}
        there = {layer: self._made(name) for layer, name in names.items()}
        missing = [layer for layer, part in there.items() if part is None]
        with closing(activities(it, checkpoint, missing)) as recorded:
            for layer, part in there.items():
                if part is None:
                    part = self._make(names[layer], lambda: measure(*next(recorded)))
                yield layer, part

    def of_layers(
        self,
        it: Plan,
        checkpoint: float,
        measure: Callable[[str, Activity], xr.Dataset],
        told: Callable[[str], None],
    ) -> xr.Dataset:
        """The same of all layers, along ``layer``; ``told(note)`` is called after each."""
        rows = []
        for layer, part in self.each_layer(it, checkpoint, measure):
            rows.append(part)
            told(f"epoch {checkpoint:g}, {layer_name(layer)}")
        return along_layers(it, rows)


def along_layers(it: Plan, rows: Sequence[xr.Dataset]) -> xr.Dataset:
    """What is known of each layer of a plan, from the input on, along ``layer``."""
    return xr.concat(rows, xr.DataArray(list(it.layers), dims="layer", name="layer"))
