"""Inputs of the learning tail: prepared images through the frozen front, kept on disk and in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.cache import cache_dir
from mcusim.data.augment import Augmentation
from mcusim.data.dataset import Dataset
from mcusim.data.inputs import Inputs
from mcusim.data.looks import Looks
from mcusim.engine.feature_cache import FeatureCache, front_key
from mcusim.engine.front import Front, Fronts
from mcusim.engine.inference import Inference
from mcusim.engine.program import Program
from mcusim.lowering.gradients import Flow
from mcusim.lowering.step import Step
from mcusim.session.identity import program

Array = NDArray[Any]

VARIANTS_SEED = 0
"""The variants of a picture are the same in every run, so runs of other seeds find them in the cache; which
of them an epoch shows, and in which order, depends on the run's seed."""


class Features:
    """Gives for images of a data set what the tail of a step starts from.

    If nothing is frozen that is the prepared input itself, and the whole step runs.

    Args:
        step: whose front it is.
        data: the examples.
        augmentation: of the training images.
        looks: at every other one.
        seed: of the draws of their variants.
        fronts: what is shared with other sessions of this process.
    """

    def __init__(
        self, step: Step, data: Dataset, augmentation: Augmentation, looks: Looks, seed: int,
        fronts: Fronts | None = None,
    ) -> None:  # fmt: skip
        self.model = model = step.model
        self.flow = Flow.of(model, step.scope, step.goals)
        assert step.goals is not None
        self.goals = step.goals
        self.tail = step.boundary is not None
        front = self.flow.ops[: self.flow.front]
        inference: dict[int, Inference] = {}
        self._augmentation, self._seed = augmentation, seed
        self.looks = looks.count
        self._images = {part: split.images for part, split in data.parts.items()}
        self._targets = {part: self.goals.prepared(split.labels, model) for part, split in data.parts.items()}
        self._fronts: dict[str, Front] = {}
        self._prepare: dict[str, Inputs] = {}
        source = model.tensors[step.boundary or model.inputs[0]]
        root = cache_dir() if front else None
        digests = {}
        # One look is a picture as it is, which has been kept under this name since before there were others.
        others = Augmentation() if looks.count == 1 else looks
        for part, split in data.parts.items():
            varied = augmentation if part == "train" else others
            prepare = Inputs(model, split.images, augmentation=varied, seed=VARIANTS_SEED)
            prepare.check_range(split.images)
            self._prepare[part] = prepare
            digest = split.digest()
            about = (digest, repr(varied.as_dict()), str(VARIANTS_SEED))
            digests[part] = front_key(model, front, *about)
            size = varied.variants, len(split), source.shape[1:], source.dtype

            def key(count: int, about: tuple[str, ...] = about) -> str:
                """Return the digest of the first so many ops of the front."""
                return front_key(model, front[:count], *about, *program().values())

            known = None if fronts is None else fronts.get(key(len(front)))
            if known is not None:
                self._fronts[part] = known
                continue
            found = None if fronts is None or model.states else fronts.shorter(len(front), key)
            begin, shorter = found or (0, None)
            if front and begin not in inference:
                start = front[begin - 1].output if begin else None
                inference[begin] = Inference(model, front[begin:], start)
            memory = None if fronts is None else fronts.memory(*size)
            cache = FeatureCache(root, key(len(front)), *size)
            made = Front(inference.get(begin), prepare, cache, memory=memory, shorter=shorter)
            self._fronts[part] = made
            if fronts is not None:
                fronts.add(key(len(front)), len(front), made, memory)
        self.key, self.validation_key = digests["train"], digests.get("validation")

    def rows(self, index: NDArray[np.int64], epoch: int) -> list[Array]:
        """Return the tail's input of each training image, in the variant that this epoch shows."""
        variant = np.zeros(len(index), np.int64)
        if self._augmentation.variants > 1:
            variant = self._augmentation.draw(index, epoch, self._seed)
        return self._fronts["train"].rows(self._images["train"], index, variant)

    def seen(self, part: str, index: NDArray[np.int64], look: int) -> list[Array]:
        """Return the tail's input of each image of another part, as this look shows it."""
        return self._fronts[part].rows(self._images[part], index, np.full(len(index), look))

    def targets(self, part: str, index: NDArray[np.int64]) -> Array:
        """Return what each example's output is compared with, as a step takes it."""
        if self.goals.single is not None and self.goals.single.task.reads_input:
            return self._prepare[part](self._images[part][index], index)
        return self._targets[part][index]

    def train(self, program: Program, row: Array, target: int | Array) -> float:
        """Run one training step from ``row``; return the loss."""
        return program.run_tail(row, target) if self.tail else program.run(row, target)
