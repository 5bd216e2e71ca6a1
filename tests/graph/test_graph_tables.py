"""Tables over kinds of ops: none forgets a kind, and each tells a user why it lacks one."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from dataclasses import MISSING, fields
from enum import StrEnum

import pytest

import mcusim
from mcusim.core import BadModel
from mcusim.graph import TRAITS, Op, OpKind
from mcusim.graph.table import TABLES, OpTable
from mcusim.graph.traits import Traits, kinds

for module in pkgutil.walk_packages(mcusim.__path__, "mcusim."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
NAMES = sorted(name for name in TABLES if not name.startswith("test "))


class Unknown(StrEnum):
    FFT = "fft"


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_that_is_new_is_refused_by_every_table(name):
    with pytest.raises(TypeError, match=f"the table of {name} needs, of fft, "):
        TABLES[name].require([*OpKind, Unknown.FFT])


def test_a_new_member_of_the_enumeration_and_nothing_else_fails_in_every_table():
    """Import the package with one more kind, and note instead of raising which tables refuse it."""
    script = """
import importlib, importlib.machinery, pkgutil
more = {
    "mcusim.graph.kinds": "\\n    FFT = 'fft'\\n",
    "mcusim.graph.table": '''
refused = []
def require(self, kinds):
    if any((kind in self._rows) == (kind in self.absent) for kind in kinds):
        refused.append(self.name)
OpTable.require = require
''',
}
Loader = importlib.machinery.SourceFileLoader
get_code = Loader.get_code
def patched(self, name):
    if name in more:
        return compile(open(self.path, encoding="utf-8").read() + more[name], self.path, "exec")
    return get_code(self, name)
Loader.get_code = patched
import mcusim
for module in pkgutil.walk_packages(mcusim.__path__, "mcusim."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from mcusim.graph.table import TABLES, refused
assert sorted(refused) == sorted(TABLES), sorted(set(TABLES) - set(refused))
print(len(refused))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_absent_kind_tells_a_user_the_reason(name):
    table = TABLES[name]
    for kind, reason in table.absent.items():
        assert len(reason.split()) > 2
        with pytest.raises(BadModel) as caught:
            table.of(Op("layer", kind, ("x",), "y"))
        assert str(caught.value).startswith(f"op 'layer' ({kind}): {reason}")


def test_a_table_is_not_built_without_a_kind_or_with_a_row_and_a_reason():
    rows = dict.fromkeys(OpKind, 1)
    with pytest.raises(TypeError, match="of pad, either a row or the reason"):
        OpTable("test missing", {k: v for k, v in rows.items() if k is not OpKind.PAD})
    with pytest.raises(TypeError, match="of pad, either a row or the reason"):
        OpTable("test both", rows, absent={OpKind.PAD: "is there and is not"})
    with pytest.raises(TypeError, match="two tables of traits"):
        OpTable("traits", rows)
    assert not [name for name in TABLES if name.startswith("test ")]


def named(true):
    return {str(kind) for kind in kinds(true)}


def test_traits_that_planning_lives_from_are_what_they_are():
    """Each a set that could be wrong without an error: a missing name gives too small a plan."""
    x, y, both = ("inputs",), ("output",), ("inputs", "output")
    assert {str(k): t.reads for k, t in TRAITS.items() if t.reads} == {
        "mul": x, "div": x, "minimum": x, "maximum": x, "squared_difference": x, "prelu": x,
        "max_pool_2d": both, "leaky_relu": x, "hard_swish": x, "logistic": y, "tanh": y, "elu": x, "gelu": x,
            "curve": x,
        "abs": x, "sqrt": y, "rsqrt": y, "exp": y, "log": x, "softmax": y, "log_softmax": y,
        "l2_normalization": x, "batch_matmul": x, "reduce_max": x, "reduce_min": x,
    }  # fmt: skip
    fused = {"conv_2d", "depthwise_conv_2d", "fully_connected", "add", "sub", "mul", "div", "average_pool_2d"}
    filters = {"grouped_conv_2d", "transpose_conv"}
    clamps = {"relu", "relu6", "relu_n1_to_1", "relu_0_to_1"}
    assert named(lambda t: t.masked) == {*fused, *filters, *clamps, "squared_difference", "batch_matmul"}
    assert named(lambda t: t.in_place == "always") == {*clamps, "add", "sub", "reshape", "quantize"}
    pairs = {"minimum", "maximum", "squared_difference", "prelu"}
    curves = {
        "leaky_relu",
        "hard_swish",
        "logistic",
        "tanh",
        "elu",
        "gelu",
        "abs",
        "sqrt",
        "rsqrt",
        "exp",
        "log",
        "curve",
    }
    assert named(lambda t: t.in_place == "forward") == {"depthwise_conv_2d", "mul", "div", *pairs, *curves}
    assert named(lambda t: t.shaping) == {
        *clamps, "pad", "mirror_pad", "leaky_relu", "hard_swish", "tanh", "elu", "gelu", "curve", "prelu",
        "quantize",
    }  # fmt: skip
    assert named(lambda t: t.patch == "window") == {"conv_2d", "depthwise_conv_2d", "max_pool_2d"}
    assert named(lambda t: t.fuses) == {*fused, *filters, "max_pool_2d"}
    assert named(lambda t: t.weighted) == {"conv_2d", "depthwise_conv_2d", "fully_connected", *filters}


def test_a_row_decides_everything_that_would_be_wrong_in_silence():
    """A new op cannot take over a default for what changes numbers."""
    free = {field.name for field in fields(Traits) if field.default is MISSING}
    assert {"family", "loops", "in_place", "reads", "masked", "shaping", "channels", "scale", "patch"} <= free
