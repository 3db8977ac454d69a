"""The parameters of an experiment: validated, immutable, hashable."""

import hashlib
import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise, product
from types import ModuleType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared_geometry.errors import InputError

_MAY_BE_NONE = ("root", "results")  # paths of chapters: None has a meaning
# Names that IPython itself puts into a notebook's namespace.
_IPYTHON_NAMES = {"In", "Out", "exit", "quit", "open", "get_ipython"}


def _sentence(errors: list[dict], known: list[str]) -> str:
    parts = []
    for error in errors:
        name = ".".join(str(part) for part in error["loc"][:1])
        if error["type"] == "extra_forbidden":
            parts.append(f"unknown parameter {name!r}; known are {', '.join(known)}")
        elif error["type"] == "value_error":
            parts.append(str(error["ctx"]["error"]))
        else:
            parts.append(f"{name}={error['input']!r} is not allowed: {error['msg'].lower()}")
    return "; ".join(dict.fromkeys(parts))


class Parameters(BaseModel):
    """Parameters of a chapter: unknown names, wrong types and values out of range are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            known = list(type(self).model_fields)
            raise InputError(_sentence(error.errors(), known)) from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any], besides: Collection[str] = ()) -> Self:
        """Parameters from a notebook's ``globals()``, as papermill left them.

        Parameters
        ----------
        namespace : mapping
            ``globals()`` of a notebook in which, besides imports, only parameters were set.
        besides : collection of str
            Parameters of the chapter that are no fields of this model: paths as text; ``root`` and
            ``results`` may be None.

        Returns
        -------
        Parameters

        Raises
        ------
        InputError
            If a name is no parameter of this chapter, or a value is not allowed.
        """
        values = {
            name: value
            for name, value in namespace.items()
            if not (name.startswith("_") or name in _IPYTHON_NAMES or callable(value))
            and not isinstance(value, ModuleType)
        }
        for name in besides:
            value = values.pop(name, None)
            none = value is None and (name in _MAY_BE_NONE or name not in namespace)
            if not (none or isinstance(value, str)):
                expected = "a path as text" + ", or None" * (name in _MAY_BE_NONE)
                raise InputError(f"{name}={value!r} is not allowed: {expected}")
        try:
            return cls._from_values(values)
        except InputError as error:
            known = f"; and {', '.join(besides)}" if besides and "; known" in str(error) else ""
            raise InputError(f"{error}{known}") from None

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> Self:
        return cls(**values)


def _lists_to_tuples(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)


Checkpoint = Annotated[float, Field(ge=0)]

_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "recipe": "fast",
        "networks": 2,
        "epochs": 1,
        "train_images": 300,
        "max_units": 64,
        "bootstrap": 100,
        "checkpoints": (0.0, 0.5, 1.0),
        "display_images": 50,
    },
    "quick": {"recipe": "fast", "networks": 5, "max_units": 256, "epochs": 4},
    "fast": {"recipe": "fast", "networks": 10},
    "paper": {"recipe": "paper", "networks": 10},
}

# Digits are few and small: more epochs cost seconds, and 637 alignment images bound k.
_DIGITS: dict[str, dict[str, Any]] = {
    "quick": {
        "networks": 6,
        "epochs": 12,
        "max_units": 150,
        "checkpoints": (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0),
    },
    "fast": {"epochs": 30, "max_units": 256},
    "paper": {"max_units": 256},
}


class Config(Parameters):
    """One experiment: a population of networks, its activations, their alignment and comparison.

    ``Config(...)`` takes the defaults below for fields that are left out; `from_preset` fills them
    in from the preset.  What is then None is the recipe's.
    """

    preset: Literal["smoke", "quick", "fast", "paper"] = Field(
        "quick", description="fills in the fields that are left out"
    )
    dataset: Literal["digits", "cifar10", "cifar100"] = Field("digits", description="the images")
    architecture: Literal["convnet", "resnet18"] = Field("convnet", description="the network")
    stem: Literal["imagenet", "cifar"] = Field("imagenet", description="first stage of ResNet18")
    recipe: Literal["fast", "paper"] = Field(
        "fast", description="how networks are trained: a modern schedule, or the paper's"
    )
    networks: int = Field(10, ge=2, le=1000, description="how many networks, each with its seed")
    epochs: int | None = Field(None, ge=1, le=10_000, description="None: the recipe's")
    batch_size: int | None = Field(None, ge=1, le=50_000, description="None: the recipe's")
    learning_rate: float | None = Field(None, gt=0, le=10, description="None: the recipe's")
    train_images: int | None = Field(None, ge=100, description="None: all; else a stratified draw")
    checkpoints: tuple[Checkpoint, ...] | None = Field(
        None, description="epochs at which a network is kept (0: untrained); None: the recipe's"
    )
    analysed: tuple[Checkpoint, ...] | None = Field(
        None, description="checkpoints that are analysed, the last one among them; None: all"
    )
    max_units: int = Field(1000, ge=2, description="units drawn at random from a larger layer")
    alignment_fraction: float = Field(
        0.8, gt=0, lt=1, description="part of the unseen images on which SRM is fitted"
    )
    components: int | None = Field(
        None, ge=2, description="k, the dimension of the shared space; None: the number of units"
    )
    centre: bool = Field(True, description="subtract each unit's mean before fitting SRM")
    solver: Literal["torch", "brainiak", "brainiak-det"] = Field(
        "torch", description="who solves SRM: this package, or BrainIAK"
    )
    bootstrap: int = Field(2000, ge=10, le=1_000_000, description="resamples of an interval")
    display_images: int = Field(100, ge=10, le=2000, description="images of the RSMs that are kept")
    seed: int = Field(0, ge=0, lt=2**63, description="the one seed of all draws")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where networks train")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of training; analysis is in float32 or better"
    )

    @classmethod
    def from_preset(cls, /, preset: str = "quick", **overrides: Any) -> Self:
        """Config of a preset, with the fields given here in place of the preset's.

        Parameters
        ----------
        preset : {"smoke", "quick", "fast", "paper"}
        **overrides
            Fields of `Config`; None leaves a field to the preset.

        Returns
        -------
        Config

        Raises
        ------
        InputError
            If a name is no field, or a value has the wrong type or is out of range.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        _lists_to_tuples(given)
        filled = dict(_PRESETS.get(preset, {})) if isinstance(preset, str) else {}
        if given.get("dataset", "digits") == "digits" and isinstance(preset, str):
            filled |= _DIGITS.get(preset, {})
        elif preset == "quick":
            filled["train_images"] = 10_000
        if "epochs" in given and "checkpoints" not in given:
            filled.pop("checkpoints", None)
        return cls(**{"preset": preset, **filled, **given})

    @classmethod
    def _from_values(cls, values: dict[str, Any]) -> Self:
        return cls.from_preset(**values)

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.components is not None and self.components > self.max_units:
            raise ValueError(
                f"components={self.components} is larger than max_units={self.max_units}: "
                "a shared space cannot have more dimensions than a network has units"
            )
        if self.solver == "brainiak" and not self.centre:
            raise ValueError(
                "centre=False is not possible with solver='brainiak', which always subtracts the "
                "units' means; expected solver 'torch' or 'brainiak-det'"
            )
        for name in ("checkpoints", "analysed"):
            epochs = getattr(self, name)
            if epochs is None:
                continue
            if not epochs or list(epochs) != sorted(set(epochs)):
                raise ValueError(
                    f"{name}={epochs} is not allowed: "
                    "epochs in rising order, each once, at least one"
                )
            for earlier, later in pairwise(epochs):
                if f"{earlier:g}" == f"{later:g}":  # so files are named
                    raise ValueError(
                        f"{name}: {earlier} and {later} are not allowed together: "
                        "they are equal in six digits"
                    )
            if self.epochs is not None and epochs[-1] > self.epochs:
                raise ValueError(f"{name}: {epochs[-1]:g} lies after the last epoch {self.epochs}")
        return self

    def to_json(self) -> str:
        """All fields as JSON with sorted keys; `from_json` reads it back.

        Returns
        -------
        str
        """
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Config from what `to_json` wrote.

        Parameters
        ----------
        text : str

        Returns
        -------
        Config

        Raises
        ------
        InputError
            If it holds an unknown field, or a value that is not allowed.
        """
        values = json.loads(text)
        _lists_to_tuples(values)
        return cls(**values)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits naming this experiment; the preset's name does not count."""
        values = self.model_dump(mode="json", exclude={"preset"})
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def command(self) -> str:
        """The command line that remakes this experiment's results."""
        preset, fields = next(self._ways())
        words = [
            f"shared-geometry run --dataset {self.dataset} --architecture {self.architecture}",
            f"--preset {preset}",
        ]
        for name, value in fields.items():
            text = json.dumps(value, separators=(",", ":"))
            words.append(f"--set {shlex.quote(f'{name}={text}')}")
        return " ".join(words)

    def _ways(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Presets, and fields besides, that make this experiment; its own preset first.

        A field that is None where the preset fills it in cannot be said: but epochs that are said
        leave checkpoints to the recipe, and the preset of the paper fills in none that may be None.
        """
        same = {"dataset": self.dataset, "architecture": self.architecture}
        values = self.model_dump(mode="json", exclude={"preset"})
        for preset, said in product((self.preset, "paper"), ({}, {"epochs": self.epochs})):
            base = type(self).from_preset(preset, **same, **said).model_dump(mode="json")
            fields = said | {name: v for name, v in values.items() if v != base[name]}
            with suppress(InputError):  # checkpoints may lie after the last epoch of the preset
                if type(self).from_preset(preset, **same, **fields).digest == self.digest:
                    yield preset, fields
