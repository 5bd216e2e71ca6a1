from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.core import BadArgument, BadData
from mcusim.data.augment import Augmentation
from mcusim.data.counter import below
from mcusim.data.preprocess import Preprocessor
from mcusim.data.resize import taps
from mcusim.graph import Model, Preprocessing, Quant, Tensor


def network(
    shape: tuple[int, ...], dtype: str = "int8", scale: float = 2 / 255, zero: int = 0, **more: Any
) -> Model:
    quant = None if dtype == "float32" else Quant.of(scale, zero)
    return Model("m", (), {"x": Tensor("x", shape, dtype, quant)}, ("x",), ("x",), **more)


def pictures(count: int, height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), np.uint8)


def slow_resize(
    image: np.ndarray, height: int, width: int, origin: tuple[float, float] = (0, 0), side: float = 1
) -> np.ndarray:
    """Return the window of the picture, resized, in float64, weights not rounded."""
    source = image.astype(np.float64)
    for axis, target in ((0, height), (1, width)):
        length = source.shape[axis]
        at = np.maximum((origin[axis] + (np.arange(target) + 0.5) * side / target) * length - 0.5, 0)
        low = np.minimum(np.floor(at).astype(int), length - 1)
        high, part = np.minimum(low + 1, length - 1), at - np.floor(at)
        part = part.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        source = np.take(source, low, axis) * (1 - part) + np.take(source, high, axis) * part
    return source


@pytest.mark.smoke
def test_published_input_is_pixel_minus_127_5_half_to_even() -> None:
    images = pictures(4, 8, 8)
    got = Preprocessor(network((1, 8, 8, 3)), (8, 8, 3))(images)
    want = np.clip(np.rint(images.astype(np.float64) - 127.5), -128, 127)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == np.int8


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_resize_is_bilinear(h: int, w: int, height: int, width: int, seed: int) -> None:
    images = pictures(2, h, w, seed=seed)
    model = network((1, height, width, 3), "float32", preprocessing=Preprocessing((0.0,), (1 / 255,)))
    got = Preprocessor(model, (h, w, 3))(images)
    for image, mine in zip(images, got, strict=True):
        # Weights are off by 1/4096 an axis at most, the result by 1/128 more.
        np.testing.assert_allclose(
            mine, slow_resize(image, height, width), atol=255 * 2 / 4096 + 1 / 128 + 1e-3
        )


@pytest.mark.parametrize("sizes", [((32, 32), (128, 128)), ((32, 32), (96, 96)), ((50, 40), (33, 64))])
@pytest.mark.oracle
def test_resize_agrees_with_pytorch(sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    torch = pytest.importorskip("torch")
    images = pictures(3, *sizes[0])
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    resized = torch.nn.functional.interpolate(planes, sizes[1], mode="bilinear", align_corners=False)
    want = np.clip(np.rint(resized.permute(0, 2, 3, 1).numpy() - 127.5), -128, 127)
    got = Preprocessor(network((1, *sizes[1], 3)), (*sizes[0], 3))(images)
    difference = np.abs(got - want)
    # Where both sizes are powers of two every weight is exact.
    assert difference.max() <= (0 if sizes[1] == (128, 128) else 1)


def test_taps_are_exact_for_powers_of_two() -> None:
    first, weight = (values[0] for values in taps(32, 128))
    assert first[:6].tolist() == [0, 0, 0, 0, 0, 0]
    assert weight[:6].tolist() == [0, 0, 256, 768, 1280, 1792]
    assert (first[-1], weight[-1]) == (31, 0)


def test_normalisation_and_zero_point() -> None:
    images = pictures(2, 4, 4)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    model = network((1, 4, 4, 3), scale=0.02, zero=-7, preprocessing=Preprocessing(mean, std))
    real = (images / 255 - np.array(mean)) / np.array(std)
    scale = float(np.float32(0.02))
    want = np.clip(np.rint(real / scale) - 7, -128, 127)
    np.testing.assert_array_equal(Preprocessor(model, (4, 4, 3))(images), want)
    reals = Preprocessor(network((1, 4, 4, 3), "float32", preprocessing=model.preprocessing), (4, 4, 3))(
        images
    )
    np.testing.assert_allclose(reals, real, rtol=1e-6)


def test_colours_and_planes() -> None:
    images = pictures(2, 6, 6)
    grey = Preprocessor(network((1, 6, 6, 1)), (6, 6, 3))(images)
    want = (images @ np.array([77, 150, 29]) + 128) >> 8
    np.testing.assert_array_equal(grey[..., 0], np.clip(np.rint(want - 127.5), -128, 127))
    coloured = Preprocessor(network((1, 6, 6, 3)), (6, 6, 1))(images[..., :1])
    np.testing.assert_array_equal(coloured[..., 0], coloured[..., 2])
    planes = Preprocessor(network((1, 3, 6, 6)), (6, 6, 3))(images)
    plain = Preprocessor(network((1, 6, 6, 3)), (6, 6, 3))(images)
    np.testing.assert_array_equal(planes, plain.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("target", [8, 16])
def test_flips_and_shifts_are_seeded(target: int) -> None:
    images = pictures(40, 8, 8)
    augmentation = Augmentation(flip=True, shift=2)
    prepare = Preprocessor(network((1, target, target, 3)), (8, 8, 3), augmentation=augmentation, seed=5)
    index = np.arange(40)
    first = prepare(images, index, epoch=1)
    np.testing.assert_array_equal(first, prepare(images, index, epoch=1))
    assert not np.array_equal(first, prepare(images, index, epoch=2))
    # One image at a time, in another order, gives the same.
    for i in (7, 3):
        np.testing.assert_array_equal(first[i], prepare(images[i : i + 1], index[i : i + 1], epoch=1)[0])
    variant = augmentation.draw(index, 1, 5)
    np.testing.assert_array_equal(first, prepare(images, index, variant=variant))
    place = augmentation.place(index, variant, 5)
    flip, shift = place.flip, place.shift
    assert {*flip.tolist()} == {False, True}
    assert abs(shift).max() == 2
    if target == 8:
        plain = np.minimum(np.rint(images - 127.5), 127)
        for i in index:
            rows = np.clip(np.arange(8) + shift[i, 0], 0, 7)
            columns = np.clip(np.arange(8) + shift[i, 1], 0, 7)
            want = plain[i][rows][:, columns]
            np.testing.assert_array_equal(first[i], want[:, ::-1] if flip[i] else want)


@given(st.floats(0.01, 0.9), st.integers(1, 12), st.integers(1, 20), st.integers(0, 99))
def test_zoom_shows_a_window(zoom: float, source: int, target: int, seed: int) -> None:
    images = pictures(3, source, source, seed=seed)
    augmentation = Augmentation(flip=True, zoom=zoom)
    model = network((1, target, target, 3), "float32", preprocessing=Preprocessing((0.0,), (1 / 255,)))
    prepare = Preprocessor(model, (source, source, 3), augmentation=augmentation, seed=seed)
    index, variant = np.arange(3), np.array([0, 1, 6])
    place = augmentation.place(index, variant, seed)
    side, origin = place.side / 65536, place.origin / 65536
    assert (side >= 1 - zoom - 1e-4).all()
    assert (side <= 1).all()
    assert (origin >= 0).all()
    assert (origin + side[:, None] <= 1).all()
    for i, mine in enumerate(prepare(images, index, variant=variant)):
        seen = images[i][:, ::-1] if place.flip[i] else images[i]
        want = slow_resize(seen, target, target, (origin[i][0], origin[i][1]), side[i])
        np.testing.assert_allclose(mine, want, atol=255 * 2 / 4096 + 1 / 128 + 1e-3)


def test_zoom_differs_from_variant_to_variant() -> None:
    place = Augmentation(zoom=0.5).place(np.zeros(400, np.int64), np.arange(400), 0)
    assert place.side.min() < 65536 * 0.52
    assert place.side.max() > 65536 * 0.98
    free = (65536 - place.side)[:, None]
    assert ((place.origin < free * 0.1).any(0) & (place.origin > free * 0.9).any(0)).all()
    assert "zoom" in Augmentation(zoom=0.5).as_dict()
    assert "zoom" not in Augmentation(shift=1).as_dict()


def test_flips_alone_have_two_variants() -> None:
    images = pictures(4, 8, 8)
    prepare = Preprocessor(network((1, 8, 8, 3)), (8, 8, 3), augmentation=Augmentation(flip=True))
    assert prepare.augmentation.variants == 2
    one = prepare(images, np.arange(4), variant=np.ones(4, np.int64))
    np.testing.assert_array_equal(one[:, :, ::-1], prepare(images))
    assert Augmentation().variants == 1
    assert Augmentation(shift=2).variants == 8
    assert Augmentation(zoom=0.2).variants == 8
    assert Augmentation(flip=True, count=5).variants == 5


def test_features_that_are_no_pictures() -> None:
    model = network((1, 5, 2, 1), scale=0.5, zero=3)
    reals = np.linspace(-80, 80, 20, dtype=np.float32).reshape(2, 10)
    got = Preprocessor(model, (5, 2), "float32")(reals.reshape(2, 5, 2))
    np.testing.assert_array_equal(got.reshape(2, 10), np.clip(np.rint(reals / 0.5) + 3, -128, 127))
    ready = np.arange(-10, 10, dtype=np.int8).reshape(2, 5, 2)
    np.testing.assert_array_equal(Preprocessor(model, (5, 2), "int8")(ready).ravel(), ready.ravel())
    same = Preprocessor(network((1, 10), "float32"), (10,), "float32")(reals)
    np.testing.assert_array_equal(same, reals)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_planes_are_arranged_as_the_input_is(dtype: str) -> None:
    last = np.random.default_rng(0).integers(-100, 100, (4, 6, 5, 3)).astype(dtype)
    first = np.moveaxis(last, -1, 1)
    kind = "float32" if dtype == "float32" else "int8"
    plain = Preprocessing((0.0,), (1.0,))
    takes_last = network((1, 6, 5, 3), kind, preprocessing=plain)
    takes_first = network((1, 3, 6, 5), kind, preprocessing=plain)
    for model, images, want in (
        (takes_last, last, last), (takes_last, first, last), (takes_first, last, first),
        (takes_first, first, first),
    ):  # fmt: skip
        got = Preprocessor(model, images.shape[1:], dtype)(images)
        np.testing.assert_array_equal(got, want)
        assert got.flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "wants"),
    [((5, 6, 3), (6, 5, 3)), ((10, 49), (49, 10, 1)), ((90,), (6, 5, 3)), ((6, 15), (6, 5, 3))],
)
def test_what_is_not_to_be_guessed_is_refused(shape: tuple[int, ...], wants: tuple[int, ...]) -> None:
    with pytest.raises(BadData, match="not to be guessed"):
        Preprocessor(network((1, *wants), "float32"), shape, "float32")


def test_thin_dimensions_and_flat_inputs_keep_the_order() -> None:
    reals = np.arange(30, dtype=np.float32).reshape(1, 6, 5)
    plain = Preprocessing((0.0,), (1.0,))
    for wants in ((6, 5, 1), (1, 6, 5), (30,), (1, 1, 30)):
        model = network((1, *wants), "float32", preprocessing=plain)
        np.testing.assert_array_equal(Preprocessor(model, (6, 5), "float32")(reals).ravel(), reals.ravel())


def test_mean_and_std_left_out_are_said() -> None:
    reals = np.zeros((2, 4, 4, 3), np.float32)
    with pytest.warns(UserWarning, match=r"mean 0\.5 and std 0\.25 of m.*not applied"):
        prepare = Preprocessor(
            network((1, 4, 4, 3), preprocessing=Preprocessing((0.5,), (0.25,))), (4, 4, 3), "float32"
        )
    np.testing.assert_array_equal(prepare(reals), np.full((2, 4, 4, 3), prepare.input.quant.zero_point))
    Preprocessor(network((1, 4, 4, 3), preprocessing=Preprocessing((0.0,), (1.0,))), (4, 4, 3), "float32")
    Preprocessor(network((1, 49, 10, 1)), (49, 10), "float32")  # no picture: nothing to say


def test_values_that_saturate_are_counted_and_said() -> None:
    model = network((1, 4, 4, 1), scale=1 / 128, zero=0)
    prepare = Preprocessor(model, (4, 4, 1), "float32")
    images = np.zeros((3000, 4, 4, 1), np.float32)
    assert prepare.saturated(images) == 0
    images[:, 0, 0] = 255
    images[:, 0, 1] = 0.995  # rounds down to the highest integer: held
    images[:, 0, 2] = -1.1
    assert prepare.saturated(images) == 2 / 16
    with pytest.warns(UserWarning, match=r"12% of the values.*-1\.1\.\.255.*holds -1\.\.0\.992"):
        prepare.check_range(images)
    images[:, 0, :3] = 0
    prepare.check_range(images)


def test_misfits() -> None:
    with pytest.raises(BadData, match="cannot become"):
        Preprocessor(network((1, 5, 2, 1)), (11,), "float32")
    with pytest.raises(BadData, match="cannot become"):
        Preprocessor(network((1, 10)), (5, 2, 3))
    with pytest.raises(BadData, match="cannot become"):
        Preprocessor(network((1, 8, 8, 3)), (8, 8, 3))(np.zeros((1, 9, 8, 3), np.uint8))
    with pytest.raises(BadData, match="no pictures"):
        Preprocessor(network((1, 10)), (10,), "float32", augmentation=Augmentation(flip=True))
    with pytest.raises(BadData, match="int32"):
        Preprocessor(network((1, 8, 8, 3), "int32"), (8, 8, 3))
    with pytest.raises(BadData, match=r"int8 .*input 'x' of int16.*give float32"):
        Preprocessor(network((1, 8, 8, 3), "int16"), (8, 8, 3), "int8")
    with pytest.raises(BadArgument):
        Augmentation(shift=-1)
    with pytest.raises(BadArgument, match="zoom"):
        Augmentation(zoom=0.95)


def slow_mean(values: np.ndarray) -> int:
    return (2 * sum(map(int, values.ravel())) + values.size) // (2 * values.size)


@given(
    st.integers(0, 9), st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.integers(1, 12),
    st.sampled_from([1, 3]), st.integers(0, 99),
)  # fmt: skip
def test_retouched_pictures_are_those_of_the_slow_twin(
    cutout: int, brightness: float, contrast: float, height: int, width: int, channels: int, seed: int
) -> None:
    """Pixel by pixel in Python's own integers, with the factors and the square seen through `retouch`."""
    images = pictures(3, height, width, channels, seed)
    index, variant = np.arange(3), np.array([0, 1, 6])
    augmentation = Augmentation(cutout=cutout, brightness=brightness, contrast=contrast)
    got = augmentation.retouch(images, index, variant, seed)
    for i, image in enumerate(images):
        light, spread = (
            65536 - int(most * 65536) + int(below(2 * int(most * 65536) + 1, seed, key, i, variant[i])[0])
            for most, key in ((brightness, 5), (contrast, 6))
        )
        grey, want = slow_mean(image), image.astype(int)
        for place in np.ndindex(image.shape):
            level = (grey * 65536 + (int(image[place]) - grey) * spread) * light
            want[place] = min(max((level + 2**31) >> 32, 0), 255)
        lit = want.copy()
        if cutout:
            y, x = (int(below(n, seed, 7, axis, i, variant[i])[0]) for axis, n in enumerate((height, width)))
            for row, column, channel in np.ndindex(image.shape):
                if 0 <= row - y + cutout // 2 < cutout and 0 <= column - x + cutout // 2 < cutout:
                    want[row, column, channel] = slow_mean(lit[:, :, channel])
        np.testing.assert_array_equal(got[i], want)


def test_retouching_is_seeded_varied_and_says_so() -> None:
    images = pictures(40, 8, 8)
    for choice in ({"cutout": 3}, {"brightness": 0.4}, {"contrast": 0.4}):
        augmentation = Augmentation(**choice)
        assert augmentation.variants == 8
        assert {*augmentation.as_dict()} - {*Augmentation().as_dict()} == {*choice}
        prepare = Preprocessor(network((1, 16, 16, 3)), (8, 8, 3), augmentation=augmentation, seed=5)
        index = np.arange(40)
        first = prepare(images, index, epoch=1)
        np.testing.assert_array_equal(first, prepare(images, index, epoch=1))
        assert not np.array_equal(first, prepare(images, index, epoch=2))
        np.testing.assert_array_equal(first[7], prepare(images[7:8], index[7:8], epoch=1)[0])
        # Pictures that are no training examples stay as they are.
        np.testing.assert_array_equal(
            prepare(images), Preprocessor(network((1, 16, 16, 3)), (8, 8, 3))(images)
        )
    assert Augmentation().retouch(images, index, index, 0) is images


def test_a_square_as_large_as_the_picture_is_refused() -> None:
    with pytest.raises(BadArgument, match=r"cutout 8: erases pictures of 8 x 8 whole"):
        Preprocessor(network((1, 8, 8, 3)), (8, 8, 3), augmentation=Augmentation(cutout=8))
