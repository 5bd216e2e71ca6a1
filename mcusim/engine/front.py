"""The frozen front of the network: computed once per image and variant, kept on disk, used every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.feature_cache import FeatureCache
from mcusim.engine.inference import Inference

Array = NDArray[Any]


class Front:
    """Gives what crosses from the frozen front to the learning tail, for any images of a split."""

    def __init__(self, inference: Inference | None, prepare: Any, cache: FeatureCache) -> None:
        self._inference, self._prepare, self._cache = inference, prepare, cache

    def rows(self, images: Array, index: NDArray[np.int64], variant: NDArray[np.int64]) -> list[Array]:
        """Return the boundary of each image ``index[i]`` in ``variant[i]``, from the cache where it can."""
        found = [self._cache.get(int(v), int(i)) for v, i in zip(variant, index, strict=True)]
        missing = [k for k, row in enumerate(found) if row is None]
        step = self._inference.batch if self._inference is not None else 64
        for start in range(0, len(missing), step):
            part = missing[start : start + step]
            x = self._prepare(images[index[part]], index[part], variant=variant[part])
            y = x if self._inference is None else self._inference(x)
            for k, row in zip(part, y, strict=True):
                found[k] = row.copy()
                self._cache.put(int(variant[k]), int(index[k]), row)
        return found  # type: ignore[return-value]
