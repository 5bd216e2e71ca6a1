"""From stored pictures to a network's input: variant, size, normalisation, quantisation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData
from mcusim.data.augment import Augmentation
from mcusim.data.looks import Looks
from mcusim.data.placement import Placement
from mcusim.graph import QUANTISED, Model, Tensor

_LUMA = np.array([77, 150, 29], np.uint16)
"""Weights of red, green and blue in grey, in 1/256 (ITU-R BT.601)."""
TIE = 2.0**16
"""Parts of a unit that are told apart before it is rounded."""
_LOOKED_AT = 1024
_MANY = 0.01
"""Of the values: a few outliers saturate in every data set that was not calibrated on."""


class Preprocessor:
    """Turns examples into the input of one network.

    Pictures (``uint8``): real = (pixel / 255 - mean) / std with the model's mean and std; a quantised
    input is rint(real / scale) + zero point, clamped, rounding half to even. Sizes differ: the picture is
    stretched, see `mcusim.data.resize`. Colours differ: three channels become grey with weights
    77, 150 and 29 of 256, rounded half up; one channel is repeated three times.

    ``float32`` examples are real values of the input already: mean and std, which speak of pixels, are not
    applied, and values outside the range of a quantised input saturate. ``int8`` examples are passed on. Both
    are arranged as the input is: planes that come first go last or the other way round; dimensions of one
    element may differ; anything becomes a flat input, in stored order.

    Warns:
        UserWarning: that mean and std are not applied, if float examples go into three channels.

    Raises:
        BadData: if examples of this shape and type cannot become this network's input, or in several ways.
        BadArgument: if variants would erase whole pictures.
    """

    def __init__(
        self,
        model: Model,
        image_shape: tuple[int, ...],
        dtype: str = "uint8",
        *,
        augmentation: Augmentation | Looks | None = None,
        seed: int = 0,
        tensor: Tensor | None = None,
    ) -> None:
        self.input = tensor or model.input
        self.image_shape, self.dtype, self.seed = tuple(image_shape), dtype, seed
        self.augmentation = augmentation or Looks()
        self.planes_first = dtype == "uint8" and _planes_first(self.input.shape)
        shape = self.input.shape[1:]
        self.shape: tuple[int, ...] = (*shape[1:], shape[0]) if self.planes_first else shape
        """Shape of one prepared example, channels last."""
        if self.input.dtype not in (*QUANTISED, "float32"):
            raise BadData(
                f"input {self.input.name!r}",
                f"is {self.input.dtype}",
                "use a network of 8 or 16 bits, or float",
            )
        if self.input.dtype != "float32" and self.input.quant is None:
            raise BadData(f"input {self.input.name!r}", "has no quantisation", "quantise the network")
        if dtype == "uint8":
            if len(self.shape) != 3 or len(self.image_shape) != 3 or self.shape[-1] not in (1, 3):
                raise self._misfit()
            self.augmentation.require(self.image_shape)
            self.table = _table(model, self.input, self.shape[-1])
        else:
            if dtype == "int8" and self.input.dtype == "int16":
                raise self._misfit(way_out="give float32 values, which are quantised to it")
            self.axes = self._arrangement()
            if dtype == "float32" and 3 in (shape[0], shape[-1]) and len(shape) == 3:
                _say_unnormalised(model)
            if self.augmentation.variants > 1:
                raise BadData(f"{dtype} examples", "are no pictures to be varied", self.augmentation.way_out)

    def __call__(
        self,
        images: NDArray[Any],
        index: NDArray[np.int64] | None = None,
        *,
        epoch: int | None = None,
        variant: NDArray[np.int64] | None = None,
    ) -> NDArray[Any]:
        """Return ``images`` as input of the network, shape ``[n, *model.input.shape[1:]]``.

        Args:
            images: ``[n, ...]`` of the data set's shape and type.
            index: place of each image in its split; needed for random variants.
            epoch: draw the variants of this epoch; None shows pictures as they are.
            variant: or show these variants.
        """
        if images.shape[1:] != self.image_shape or images.dtype.name != self.dtype:
            raise self._misfit(f"{images.dtype} {images.shape[1:]}")
        if self.dtype != "uint8":
            arranged = images if self.axes is None else images.transpose(0, *(axis + 1 for axis in self.axes))
            arranged = np.ascontiguousarray(arranged).reshape(-1, *self.input.shape[1:])
        if self.dtype == "int8":
            return arranged
        if self.dtype == "float32":
            return held(arranged.astype(np.float32, copy=False), self.input)
        count = len(images)
        place = Placement.whole(count)
        if index is not None and (epoch is not None or variant is not None):
            if variant is None:
                assert epoch is not None
                variant = self.augmentation.draw(index, epoch, self.seed)
            place = self.augmentation.place(index, variant, self.seed)
            if self.augmentation.retouches:
                images = self.augmentation.retouch(images, index, variant, self.seed)
        output = self._pictures(_coloured(images, self.shape[-1]), place)
        return np.ascontiguousarray(np.moveaxis(output, -1, 1)) if self.planes_first else output

    def saturated(self, images: NDArray[Any]) -> float:
        """Return the fraction of values of float ``images`` that a quantised input cannot hold."""
        quant = self.input.quant
        if self.dtype != "float32" or quant is None:
            return 0.0
        low, high = _limits(self.input)
        half = float(quant.scale[0]) / 2
        return float(((images < low - half) | (images > high + half)).mean())

    def check_range(self, images: NDArray[Any]) -> None:
        """Say so where many values saturate: pictures in 0..255, for example, for an input of -1..1.

        At most 1,024 examples are looked at, evenly over ``images``.

        Warns:
            UserWarning: with the share of the values and both ranges, if it is 1 % or more.
        """
        shown = images[:: -(-len(images) // _LOOKED_AT)]
        share = self.saturated(shown)
        if share >= _MANY:
            low, high = _limits(self.input)
            warnings.warn(
                f"{share:.0%} of the values of {self.dtype} examples saturate: they lie in "
                f"{float(shown.min()):g}..{float(shown.max()):g}, and input {self.input.name!r} holds "
                f"{low:g}..{high:g} (scale the data, or give pictures as uint8)",
                UserWarning,
                stacklevel=2,
            )

    def _arrangement(self) -> tuple[int, ...] | None:
        """Return the order of the examples' dimensions that makes them the input; None for as they are."""
        here, there = self.image_shape, self.input.shape[1:]
        if int(np.prod(here)) != int(np.prod(there)):
            raise self._misfit()
        thick = [tuple(size for size in shape if size > 1) for shape in (here, there)]
        if thick[0] == thick[1] or len(thick[1]) < 2:
            return None
        if len(here) == len(there) == 3:
            for axes in ((1, 2, 0), (2, 0, 1)):
                if tuple(here[axis] for axis in axes) == there:
                    return axes
        raise self._misfit(way_out=f"arrange them as {there}: in which order is not to be guessed")

    def _pictures(self, images: NDArray[np.uint8], place: Placement) -> NDArray[Any]:
        output = np.empty((len(images), *self.shape), self.table.dtype)
        if images.shape[1:] != self.shape or place.moves:
            from mcusim.data.resize import resize

            resize(np.ascontiguousarray(images), place, self.table, output)
            return output
        # Same size: whole grey levels, and mirroring is a view. Nothing to compile.
        whole = np.ascontiguousarray(self.table[:, :: 2**6])
        for channel in range(self.shape[-1]):
            output[..., channel] = whole[channel][images[..., channel]]
        if place.flip.any():
            output[place.flip] = output[place.flip][:, :, ::-1]
        return output

    def _misfit(
        self, found: str = "", way_out: str = "use data of the kind this network was made for"
    ) -> BadData:
        found = found or f"{self.dtype} {self.image_shape}"
        want = f"{self.input.dtype} {self.input.shape[1:]}"
        return BadData(f"examples of {found}", f"cannot become input {self.input.name!r} of {want}", way_out)


def quantised(reals: NDArray[np.floating], tensor: Tensor) -> NDArray[Any]:
    """Return rint(real / scale) + zero point, half to even, clamped to the tensor's type.

    Values within 2**-17 of a tie count as ties, so that a scale which float32 cannot hold exactly
    (2/255) rounds as the exact one would.
    """
    quant = tensor.quant
    assert quant is not None
    limits = np.iinfo(np.dtype(tensor.dtype))
    steps = np.rint(reals.astype(np.float64) * (TIE / float(quant.scale[0]))) / TIE
    inside: NDArray[Any] = np.clip(np.rint(steps) + quant.zero_point, limits.min, limits.max)
    return inside.astype(tensor.dtype)


def held(reals: NDArray[np.floating], tensor: Tensor) -> NDArray[Any]:
    """Return real values as a tensor holds them: quantised, unless it is float32."""
    return reals.astype(np.float32, copy=False) if tensor.dtype == "float32" else quantised(reals, tensor)


def _limits(tensor: Tensor) -> tuple[float, float]:
    """Return the least and the largest real value that a quantised tensor holds."""
    quant, ends = tensor.quant, np.iinfo(np.dtype(tensor.dtype))
    assert quant is not None
    low, high = ((end - quant.zero_point) * float(quant.scale[0]) for end in (ends.min, ends.max))
    return low, high


def _say_unnormalised(model: Model) -> None:
    mean, std = model.preprocessing.mean, model.preprocessing.std
    if (set(mean), set(std)) != ({0.0}, {1.0}):
        given = " and ".join(
            f"{word} {', '.join(f'{value:g}' for value in values)}"
            for word, values in (("mean", mean), ("std", std))
        )
        warnings.warn(
            f"float32 examples are taken as real values of the input: {given} of {model.name}, "
            "which speak of uint8 pixels, are not applied",
            UserWarning,
            stacklevel=3,
        )


def _table(model: Model, tensor: Tensor, channels: int) -> NDArray[Any]:
    """Return the input value of every sixty-fourth of a grey level, ``[channels, 16321]``."""
    mean = np.broadcast_to(np.asarray(model.preprocessing.mean, np.float64), (channels,)).reshape(-1, 1)
    std = np.broadcast_to(np.asarray(model.preprocessing.std, np.float64), (channels,)).reshape(-1, 1)
    reals = (np.arange(255 * 64 + 1, dtype=np.float64) / (255 * 64) - mean) / std
    return held(reals, tensor)


def _planes_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3)


def _coloured(images: NDArray[Any], channels: int) -> NDArray[Any]:
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    grey: NDArray[Any] = (images.astype(np.uint16) * _LUMA).sum(-1, dtype=np.uint32, keepdims=True)
    return ((grey + 128) >> 8).astype(np.uint8)
