"""Pictures in folders: one folder a class, as most people have them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData, MissingPackage
from mcusim.core.boundary import reads
from mcusim.data.dataset import Dataset, Split
from mcusim.data.splits import held_out

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm")
_FORMATS = ("PNG", "JPEG", "BMP", "PPM")
MAX_PIXELS = 2**26
"""Of one picture: larger ones are refused before they are decoded."""
MAX_BYTES = 2**33
_WHITE = 2**16 - 1
_TRAIN, _TEST = ("train", "training"), ("test", "val", "validation", "testing")

File = tuple[Path, int]


def image_folder(
    root: str | Path,
    *,
    size: tuple[int, int] | int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Return the pictures of a folder as ``uint8 [N, H, W, 3]``.

    Pictures are turned as their EXIF orientation says; 16 bits a colour are scaled to 8.

    Two layouts: ``root/class/name.png``, from which every class gives ``test_fraction`` of its pictures
    (at least one) to the test split, chosen by ``seed``; or ``root/train/class/…`` and
    ``root/test/class/…`` (also ``val``). Classes are the folders' names, sorted.

    Args:
        root: the folder.
        size: (height, width) to which pictures are scaled (Pillow, bilinear with antialiasing); without it
            all must have the same size. One number means a square.
        test_fraction: between 0 and 1.
        seed: of the split.

    Raises:
        MissingPackage: without Pillow.
        BadData: if there are no pictures, a class has too few, or a file is damaged, too large or of
            another size.
        BadArgument: if the fraction or the size makes no sense.
    """
    root = Path(root)
    target = (size, size) if isinstance(size, int) else size
    if target is not None and not all(1 <= side <= 2**12 for side in target):
        raise BadArgument(f"size={size}", "is not between 1 and 4096 pixels", "use the network's input size")
    if not root.is_dir():
        raise BadData(str(root), "is no folder", "give the folder that holds one folder a class")
    parts = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
    trains = [parts[name] for name in _TRAIN if name in parts]
    tests = [parts[name] for name in _TEST if name in parts]
    if trains and tests:
        classes = _classes(trains[0])
        train, test = (_files(place, classes) for place in (trains[0], tests[0]))
    else:
        classes = _classes(root)
        files = _files(root, classes)
        if empty := sorted({*range(len(classes))} - {label for _, label in files}):
            raise BadData(str(root / classes[empty[0]]), "holds no pictures", f"known: {', '.join(SUFFIXES)}")
        held = held_out(np.array([label for _, label in files]), test_fraction, seed)
        train = [file for file, out in zip(files, held, strict=True) if not out]
        test = [file for file, out in zip(files, held, strict=True) if out]
    if not train or not test:
        raise BadData(str(root), "holds no pictures", f"known: {', '.join(SUFFIXES)}")
    target = target or _size(train[0][0])
    count = len(train) + len(test)
    if count * target[0] * target[1] * 3 > MAX_BYTES:
        raise BadData(
            str(root), f"holds {count:,} pictures of {target[0]}x{target[1]}", "pass a smaller size="
        )
    fixed = size is None
    return Dataset(_split(train, target, fixed), _split(test, target, fixed), classes, root.name)


def _classes(root: Path) -> tuple[str, ...]:
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise BadData(str(root), "holds no folders", "put the pictures of each class into a folder")
    return tuple(names)


def _files(root: Path, classes: tuple[str, ...]) -> list[File]:
    return [(path, label) for label, name in enumerate(classes) for path in _pictures(root / name)]


def _pictures(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def _split(files: list[File], size: tuple[int, int], fixed: bool) -> Split:
    images = np.empty((len(files), *size, 3), np.uint8)
    for i, (path, _) in enumerate(files):
        images[i] = _read(path, size, fixed)
    return Split(images, np.array([label for _, label in files], np.int64))


def _size(path: Path) -> tuple[int, int]:
    height, width, _ = _read(path, None, True).shape
    return height, width


@reads(BadData, "remove it or get it again")  # a damaged file can make a decoder raise nearly anything
def _read(path: Path, size: tuple[int, int] | None, fixed: bool) -> NDArray[np.uint8]:
    """Return one picture upright, as its EXIF orientation says, in 8 bits and three colours."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingPackage("Pillow", "reading pictures", "images") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is refused below, or no matter
        with Image.open(path, formats=_FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise BadData(str(path), f"has {width}x{height} pixels", f"at most {MAX_PIXELS:,} are read")
            upright = ImageOps.exif_transpose(picture)
            width, height = upright.size
            if fixed and size is not None and (height, width) != size:
                raise BadData(
                    str(path), f"is {height}x{width} and others are {size[0]}x{size[1]}", "pass size=(h, w)"
                )
            colours = _eight_bits(path, upright).convert("RGB")
            if size is not None and (height, width) != size:
                colours = colours.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(colours, np.uint8)


def _eight_bits(path: Path, picture: Image.Image) -> Image.Image:
    """Return a grey picture of 16 bits with its values scaled, where ``convert`` would saturate them."""
    from PIL import Image

    if picture.mode == "F":
        raise BadData(str(path), "holds real numbers", "save it with 8 or 16 bits a colour")
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.uint32)
    if values.max(initial=0) > _WHITE:
        raise BadData(str(path), "has more than 16 bits a colour", "save it with 8 or 16 bits a colour")
    return Image.fromarray(((values * 255 + _WHITE // 2) // _WHITE).astype(np.uint8))
