"""Number formats are whole: what one of them lacks is an error when it is made, not a guess in use."""

from __future__ import annotations

import numpy as np
import pytest

from mcusim.core import BadArgument, Kind, UnknownName
from mcusim.graph import DTYPES
from mcusim.kernels.compiled import errors
from mcusim.kernels.number_formats import BIASES, ERRORS, WEIGHTS
from mcusim.kernels.number_formats.base import ErrorFormat, FormatList, ParameterFormat
from mcusim.kernels.number_formats.nearest import Int8

PARAMETERS = [*WEIGHTS.values(), *BIASES.values(), WEIGHTS.plain, BIASES.plain]
EXTRAS = [f for f in PARAMETERS if f.extra is not None]
VALUES = np.array([-127, -3, 0, 5, 127])


def name_of(format):
    return type(format).__name__


def classes(base):
    """Yield every class below ``base`` that can be made."""
    for cls in base.__subclasses__():
        yield from classes(cls)
        if not cls.__abstractmethods__:
            yield cls


@pytest.mark.smoke
def test_every_class_is_listed():
    shipped = {
        c for c in (*classes(ParameterFormat), *classes(ErrorFormat)) if c.__module__.startswith("mcusim.")
    }
    assert shipped == {type(f) for f in (*PARAMETERS, *ERRORS.values())}


@pytest.mark.parametrize("format", PARAMETERS, ids=name_of)
def test_a_step_gives_the_types_that_are_kept(format):
    value = VALUES.astype(format.dtype)
    extra = None if format.extra is None else format.extra.start(value)
    step = np.linspace(-2, 2, VALUES.size, dtype=np.float32)
    new, kept = format.step(value, extra, step, lambda: np.full(VALUES.shape, 0.5))
    assert (new.dtype, new.shape) == (value.dtype, value.shape)
    assert (kept is None) == (extra is None)
    if extra is not None:
        assert (kept.dtype, kept.shape) == (extra.dtype, extra.shape) == (format.extra.dtype, value.shape)
    assert format.bytes == value.itemsize + (0 if extra is None else extra.itemsize)


@pytest.mark.parametrize("format", PARAMETERS, ids=name_of)
def test_a_step_of_nothing_changes_nothing(format):
    value = VALUES.astype(format.dtype)
    extra = None if format.extra is None else format.extra.start(value)
    new, kept = format.step(value, extra, np.zeros(VALUES.shape, np.float32), lambda: np.zeros(VALUES.shape))
    np.testing.assert_array_equal(new, value)
    np.testing.assert_array_equal(kept, extra)


@pytest.mark.smoke
@pytest.mark.parametrize("format", EXTRAS, ids=name_of)
def test_extra_precision_adds_up_what_rounding_would_lose(format):
    value = VALUES.astype(format.dtype)
    extra = format.extra.start(value)
    for _ in range(64):
        value, extra = format.step(value, extra, np.full(VALUES.shape, 1 / 64, np.float32), lambda: None)
    np.testing.assert_array_equal(value[1:], VALUES[1:] - 1)
    assert value[0] == (-127 if format.dtype == "int8" else -128)


@pytest.mark.parametrize("format", EXTRAS, ids=name_of)
def test_extra_precision_has_a_slot_of_its_own(format):
    assert format.extra.kind in (Kind.RESIDUAL, Kind.MASTER)


def test_compiled_rules_are_different_ones():
    assert len({format.compiled() for format in PARAMETERS}) == len(PARAMETERS)


@pytest.mark.parametrize("format", ERRORS.values(), ids=name_of)
def test_error_formats_say_what_the_kernels_know(format):
    assert format.name == format.dtype, "kernels know a stored gradient by its element type alone"
    assert format.compiled() in (errors.FLOAT32, errors.INT16, errors.INT8)
    assert format.bytes == DTYPES[format.dtype]
    g = np.zeros(3, format.dtype)
    stored = format.store(np.array([1e6, -1.5, 0], np.float32), g, 1.0, False)
    limit = np.inf if format.limit is None else format.limit
    assert g[0] == min(1e6, limit)
    assert stored.saturated == (format.limit is not None)


def test_a_format_that_lacks_a_part_cannot_be_made():
    class NoExtra(ParameterFormat):
        name, dtype = "int8+nothing", "int8"
        step, compiled = Int8.step, Int8.compiled

    class NoCompiled(ParameterFormat):
        name, dtype, extra = "int8+slow", "int8", None
        step = Int8.step

    class NoLimit(ErrorFormat):
        name = dtype = "int16"
        store = ERRORS["int16"].store
        compiled = ERRORS["int16"].compiled

    with pytest.raises(BadArgument, match="NoExtra: has no extra"):
        NoExtra()
    with pytest.raises(TypeError, match="compiled"):
        NoCompiled()
    with pytest.raises(BadArgument, match="NoLimit: has no limit"):
        NoLimit()


def test_names_are_told_apart():
    with pytest.raises(BadArgument, match="same name"):
        FormatList("weight format", Int8(), Int8())
    with pytest.raises(UnknownName, match="did you mean int8-sr"):
        WEIGHTS.of("int8sr", "int8")
    assert "int8sr" not in WEIGHTS
    assert WEIGHTS.of("int8-sr", "float32") is WEIGHTS.plain
