"""What a study is, as its file says it: a base, axes, limits, and who chooses the points."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcusim.core import BadArgument
from mcusim.session.experiment import OTHERS

SAMPLERS = ("tpe", "nsga2", "gp", "random")
"""Those of Optuna; ``random`` needs no Optuna."""
FIGURES = ("peak_bytes", "flash_bytes", "step_ms", "step_mj", "write_backs")
"""What a plan says about a point before anything is trained."""
METRIC = "metric"
OBJECTIVES = (METRIC, *FIGURES)
LARGER_IS_BETTER = frozenset({"write_backs"})
"""Of the figures; whether a larger metric is better is said by its task."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Strict):
    """Numbers from ``low`` to ``high``, both included, for a sampler."""

    low: float
    high: float
    log: bool = Field(default=False, description="draw the logarithm uniformly")
    whole: bool = Field(default=False, description="whole numbers only")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range starts above 0")
        return self


class Halving(_Strict):
    """Early stopping: at each of these epochs only the best part goes on (successive halving)."""

    epochs: list[int] = Field(min_length=1, description="epochs after which candidates are compared")
    keep: float = Field(default=1 / 3, gt=0, lt=1, description="part of the candidates that goes on")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if sorted({*self.epochs}) != self.epochs or self.epochs[0] < 1:
            raise ValueError("epochs do not rise from 1")
        return self


class Constraints(_Strict):
    """What a plan must keep to; a point that does not is recorded and not trained. SRAM is ``base.sram``."""

    peak_bytes: int | None = Field(default=None, gt=0, description="most bytes of SRAM")
    flash_bytes: int | None = Field(default=None, gt=0, description="most bytes of flash")
    step_ms: float | None = Field(default=None, gt=0, description="longest step, modelled")
    step_mj: float | None = Field(default=None, gt=0, description="most energy of a step, modelled")
    write_backs: int | None = Field(default=None, gt=0, description="fewest until the flash is worn")


class Study(_Strict):
    """A study: what all its runs share, what differs between them, and what they are compared by.

    ``base`` holds what a run file holds. ``axes`` name settings as a run file does (``update``,
    ``sgd.lr``, ``training.epochs``) or by their last word where that is enough (``lr``), each with a list
    of values or, for a sampler, a range. An axis may also be a list of tables, each a group of settings that
    go together, perhaps with a ``label``. The axis ``seed`` does not make candidates: each is trained with
    all seeds, and compared by the mean.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="also of its folder")
    note: str = ""
    base: dict[str, Any] = Field(default_factory=dict, description="what a run file holds")
    axes: dict[str, Range | list[Any]] = Field(min_length=1)
    sampler: Literal["grid", "random", "tpe", "nsga2", "gp"] = "grid"
    points: int | None = Field(default=None, ge=1, description="candidates that a sampler may try")
    sampler_seed: int = Field(default=0, ge=0)
    objectives: list[Literal["metric", "peak_bytes", "flash_bytes", "step_ms", "step_mj", "write_backs"]] = (
        Field(default=["metric"], min_length=1)
    )
    limits: Constraints = Constraints()
    halving: Halving | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.sampler == "grid":
            for name, axis in self.axes.items():
                if isinstance(axis, Range):
                    raise ValueError(f"axis {name} is a range, which a grid cannot go through; list values")
            if self.points is not None:
                raise ValueError("points are for a sampler; a grid has as many as its axes give")
        elif self.points is None:
            raise ValueError(f"sampler {self.sampler} needs points, the number of candidates to try")
        for name, axis in self.axes.items():
            if isinstance(axis, list) and not axis:
                raise ValueError(f"axis {name} has no values")
            if name.rpartition(".")[2] == "seed" and isinstance(axis, Range):
                raise ValueError("axis seed is a range; list the seeds")
        if self.halving is not None and len(self.objectives) > 1:
            raise ValueError("halving compares by one objective; leave out the others")
        return self

    @classmethod
    def read(cls, source: str | Path | dict[str, Any] | Study) -> Study:
        """Return the study of a TOML file, or of plain data.

        Raises:
            BadArgument: if it cannot be read, or says something that makes no sense.
        """
        if isinstance(source, Study):
            return source
        if isinstance(source, dict):
            return cls._from(source, "the study")
        path = Path(source)
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            raise BadArgument(f"study {path}", reason, "check the path") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadArgument(f"study {path}", f"is not TOML: {error}", "correct that line") from error
        data.pop(OTHERS, None)
        return cls._from({"name": path.stem, **data}, f"study {path}")

    @classmethod
    def _from(cls, data: dict[str, Any], thing: str) -> Study:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(
                str(word) for word in first["loc"] if not str(word).startswith(("list[", "Range"))
            )
            reason = first["msg"].removeprefix("Value error, ")
            raise BadArgument(f"{thing}{f': {where}' if where else ''}", reason, _WAY_OUT) from error

    @property
    def chooses(self) -> bool:
        """True if results decide what is trained next."""
        return self.halving is not None or self.sampler in ("tpe", "nsga2", "gp")


_WAY_OUT = "docs/tutorials/studies.md shows one"
