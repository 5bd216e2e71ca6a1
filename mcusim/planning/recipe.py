"""How long and on what a network trains: the choices of one call of ``Session.train``."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core.chosen import Chosen
from mcusim.core.setting import setting
from mcusim.data.augment import Augmentation
from mcusim.data.looks import LOOKS, Looks
from mcusim.update.schedule import KINDS

TRACES = ("first", "all", "off")
ORDERS = ("shuffled", "stored")
EVALUATE = ("epoch", "end", "never")
"""When the test examples are looked at."""


@dataclass(frozen=True, slots=True)
class Recipe(Chosen):
    """What a training is, beside the settings of its session."""

    epochs: int = setting(1, "passes over the training images", least=1)
    warmup: float = setting(0.0, "epochs over which the learning rate rises", unit="epochs", least=0)
    schedule: str = setting("cosine", "learning rate over time", values=lambda: KINDS)
    limit: int | None = setting(
        None, "only the first so many steps of each epoch", unit="steps", least=1, example="1000"
    )
    trace: str = setting(
        "first", "steps to record: the first of every plan, all (streamed, needs a folder), or none",
        values=lambda: TRACES, label="trace mode",
    )  # fmt: skip
    order: str = setting(
        "shuffled", "order of the training examples: a new one every epoch, or that in which they are stored",
        values=lambda: ORDERS,
    )  # fmt: skip
    validation: float = setting(
        0.0, "part of the training examples held out to choose by", least=0, below=1, example="0.1"
    )
    validation_seed: int = setting(0, "seed of that part, the same for runs of every seed", least=0)
    evaluate: str = setting(
        "epoch", "when the test examples are looked at: after every epoch, once at the end, or never",
        values=lambda: EVALUATE,
    )  # fmt: skip
    looks: str = setting(
        "one", "looks at a picture that an evaluated answer averages, an inference each: one; mirrored too; "
        "ten-crop: displaced to each corner too",
        values=lambda: LOOKS, terse=True,
    )  # fmt: skip
    look_shift: int = setting(
        2, "displacement of a ten-crop on each axis, edges repeated",
        unit="pixels", least=1, most=1024, terse=True,
    )  # fmt: skip
    augmentation: Augmentation = setting(Augmentation, "random variants of the training images")

    @property
    def answer(self) -> Looks:
        """The looks that an evaluated answer averages."""
        return Looks(LOOKS[self.looks], self.look_shift)
