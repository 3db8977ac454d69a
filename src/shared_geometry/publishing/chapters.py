"""Parameters of the chapters that run no experiment, with the values that are allowed."""

from typing import Self

from pydantic import Field, model_validator

from shared_geometry.config import Parameters


class MethodsParameters(Parameters):
    """A population made by hand: networks that see one response through bases of their own."""

    seed: int = Field(0, ge=0, lt=2**63)
    networks: int = Field(6, ge=2, le=50)
    units: int = Field(100, ge=10, le=500)
    noise: float = Field(0.7, ge=0, le=10, strict=False)


class TheoryParameters(Parameters):
    """Sizes of the matrices on which the propositions are checked."""

    seed: int = Field(0, ge=0, lt=2**63)
    networks: int = Field(10, ge=2, le=100)
    units: int = Field(40, ge=12, le=500)
    images: int = Field(60, ge=13, le=1000)
    dimensions: int = Field(12, ge=4, le=12)


class SimulationParameters(Parameters):
    """Sizes of Figure 2's simulation."""

    seed: int = Field(0, ge=0, lt=2**63)
    runs: int = Field(50, ge=2, le=1000)
    copies: int = Field(10, ge=2, le=100)
    units: int = Field(50, ge=2, le=500)
    points: int = Field(50, ge=10, le=500)
    steps: int = Field(1000, ge=1, le=100_000)
    side_runs: int = Field(10, ge=2, le=1000)
    bootstrap: int = Field(2000, ge=10, le=1_000_000)


class LedgerParameters(Parameters):
    """Of the simulation that the ledger judges: the simulation chapter's, to get its numbers."""

    seed: int = Field(0, ge=0, lt=2**63)
    runs: int = Field(50, ge=2, le=1000)
    bootstrap: int = Field(2000, ge=10, le=1_000_000)


class SolvingParameters(Parameters):
    """Sizes of the population on which solvers are compared."""

    seed: int = Field(0, ge=0, lt=2**63)
    networks: int = Field(8, ge=2, le=100)
    units: int = Field(60, ge=12, le=500)
    images: int = Field(400, ge=20, le=10_000)
    noise: float = Field(0.45, ge=0, le=10, strict=False)
    sweeps: int = Field(15, ge=3, le=200)
    starts: int = Field(3, ge=1, le=20)

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.units > self.images:
            raise ValueError(
                f"units={self.units} is larger than images={self.images}: a shared space cannot "
                "have more dimensions than there are images"
            )
        return self


class YoursParameters(Parameters):
    """Populations made from pictures of digits, and the pictures that networks are shown."""

    seed: int = Field(0, ge=0, lt=2**63)
    networks: int = Field(5, ge=3, le=20)
    images: int = Field(500, ge=100, le=797)
    units: int = Field(100, ge=30, le=500)
    noise: float = Field(0.2, ge=0, le=10, strict=False)
