"""Which examples a training may look at, and when: what is chosen is chosen by others than the last word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from mcusim.core import BadArgument
from mcusim.core.wording import choice
from mcusim.data.dataset import Dataset
from mcusim.data.validation import with_validation
from mcusim.planning.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Protocol:
    """How many examples there are of each kind, and when the test examples are looked at.

    Attributes:
        train, validation, test: numbers of examples; ``validation`` is 0 where none are held out.
        seed: of the validation part; ``None`` where the data came with one, or there is none.
        evaluate: see ``Recipe.evaluate``.
        looks: at a picture for each answer that is measured.
    """

    train: int
    validation: int
    test: int
    seed: int | None
    evaluate: str
    looks: int = 1

    @classmethod
    def of(cls, data: Dataset, recipe: Recipe) -> Self:
        """Return that of a training on data whose validation part is held out already.

        Raises:
            BadArgument: if there would be no examples to measure on.
        """
        held = 0 if data.validation is None else len(data.validation)
        if recipe.evaluate == "never" and not held:
            reason = "leaves nothing to measure on"
            raise BadArgument(
                "evaluate never", reason, f"hold examples out, e.g. {choice('validation', 0.1)}"
            )
        seed = recipe.validation_seed if recipe.validation else None
        return cls(len(data.train), held, len(data.test), seed, recipe.evaluate, recipe.answer.count)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts measured after every epoch; what ``before`` and progress speak of comes first."""
        tested = ("test",) if self.evaluate == "epoch" else ()
        return (*tested, "validation") if self.validation else tested

    @property
    def reported(self) -> str:
        """The part that the result of the run is measured on."""
        return "validation" if self.evaluate == "never" else "test"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "train": self.train, "validation": self.validation, "test": self.test,
            "validation_seed": self.seed, "evaluate": self.evaluate, "reported": self.reported,
            **({"looks": self.looks} if self.looks > 1 else {}),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from ``as_dict``."""
        return cls(
            data["train"], data["validation"], data["test"], data["validation_seed"], data["evaluate"],
            data.get("looks", 1),
        )  # fmt: skip

    def __str__(self) -> str:
        words = [f"{self.train:,} to train"]
        if self.validation:
            seed = "" if self.seed is None else f" (seed {self.seed})"
            words.append(f"{self.validation:,} to choose by{seed}")
        when = {"epoch": "after every epoch", "end": "once, at the end", "never": "not looked at"}
        words.append(f"{self.test:,} to test, {when[self.evaluate]}")
        return ", ".join(words) + (
            f"; {self.looks} looks at each, their answers averaged" if self.looks > 1 else ""
        )


def divided(data: Dataset, recipe: Recipe) -> Dataset:
    """Return the data with the validation part held out that a recipe asks for."""
    if not recipe.validation:
        return data
    return with_validation(data, recipe.validation, seed=recipe.validation_seed)
