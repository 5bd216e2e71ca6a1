from __future__ import annotations

from fractions import Fraction
from math import ceil

import lowering_counting_twin as twin
import numpy as np
import pytest
from every_op import LEFT_OUT, every_op_network
from hypothesis import assume, given
from hypothesis import strategies as st

from mcusim.core import BadModel
from mcusim.graph import Attributes, Op, OpKind, Quant, Tensor
from mcusim.lowering.work import backward_work, forward_work, kind_of
from mcusim.update.patterns import PATTERNS


@st.composite
def weighted(draw):
    """An op with weights over small random shapes, and its tensors."""
    kind = draw(st.sampled_from([OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.FULLY_CONNECTED]))
    cin, cout = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    quant = Quant.of(0.1)
    if kind is OpKind.FULLY_CONNECTED:
        shapes = ((1, cin), (cout, cin), (1, cout))
        attributes = Attributes()
    else:
        window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 2)))
        dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        pad = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
        size = [
            draw(st.integers(max(1, (window[d] - 1) * dilation[d] + 1 - sum(pad[d])), 6)) for d in range(2)
        ]
        out = [(size[d] + sum(pad[d]) - (window[d] - 1) * dilation[d] - 1) // stride[d] + 1 for d in range(2)]
        if kind is OpKind.DEPTHWISE_CONV_2D:
            cout = cin * draw(st.integers(1, 2))
            weight = (1, *window, cout)
        else:
            weight = (cout, *window, cin)
        shapes = ((1, *size, cin), weight, (1, *out, cout))
        attributes = Attributes(stride=stride, padding=pad, dilation=dilation)
    dtype = draw(st.sampled_from(["int8", "int32"])) if kind is OpKind.FULLY_CONNECTED else "int8"
    names = dict(zip("xwy", shapes, strict=True))
    tensors = {n: Tensor(n, s, dtype if n == "y" else "int8", quant) for n, s in names.items()}
    tensors["b"] = Tensor("b", (cout,), "int32", quant)
    tensors["w"] = Tensor("w", shapes[1], "int8", quant, np.ones(shapes[1], np.int8))
    return Op("op", kind, ("x", "w", "b"), "y", attributes), tensors


def arrays(tensors):
    rng = np.random.default_rng(0)
    return {n: rng.integers(-9, 9, t.shape).astype(float) for n, t in tensors.items()}


@given(weighted())
def test_forward_counts_what_the_slow_twin_counts(drawn):
    op, tensors = drawn
    a = arrays(tensors)
    count = twin.forward(op, tensors, a["x"], a["w"], a["b"])
    work = forward_work(op, tensors)
    assert work.macs == count.macs
    assert work.outputs == tensors["y"].elements
    assert work.requants == count.requants
    assert work.int_ops == count.int_ops
    assert work.im2col_bytes == (count.im2col if work.kind in ("conv", "stem") else 0)
    assert work.sram_read == count.read_bytes("x")
    assert work.flash_read == count.read_bytes("w") + count.read_bytes("b", 4)
    assert work.sram_written == count.written_bytes("y", twin.element_bytes(tensors["y"]))


@given(weighted(), st.sampled_from([1, 2, 4]))
def test_grad_input_counts_what_the_slow_twin_counts(drawn, error_bytes):
    op, tensors = drawn
    a = arrays(tensors)
    count = twin.grad_input(op, tensors, a["y"], a["w"])
    work = backward_work(op, tensors, "grad_input", error_bytes=error_bytes)
    masked = tensors["y"].dtype == "int8"
    width = error_bytes if masked else 4
    assert work.float_macs == count.macs
    assert work.float_ops == count.float_ops
    assert work.int_ops == (count.int_ops if masked else 0)
    assert work.requants == (tensors["x"].elements if error_bytes < 4 else 0)
    mask_bytes = -(-tensors["y"].elements // 8) if masked else 0
    assert work.sram_read == count.read_bytes("g", width) + mask_bytes
    assert work.sram_written == count.written_bytes("gx", error_bytes)
    assert work.weight_bytes == tensors["w"].bytes


@given(weighted(), st.data())
def test_grad_weight_and_update_count_what_the_slow_twin_counts(drawn, data):
    op, tensors = drawn
    a = arrays(tensors)
    cin = tensors["x"].shape[-1]
    channels = sorted(data.draw(st.sets(st.integers(0, cin - 1), min_size=1)))
    count = twin.grad_weight(op, tensors, a["x"], a["y"], channels)
    work = backward_work(op, tensors, "grad_weight", channels=len(channels))
    assert work.float_macs == count.macs
    weights = [
        k
        for k in np.ndindex(*tensors["w"].shape)
        if (k[-1] * cin // tensors["w"].shape[-1] if op.kind is OpKind.DEPTHWISE_CONV_2D else k[-1])
        in channels
    ]
    assert work.outputs == len(weights)
    assert work.sram_written == 4 * len(weights)
    update = twin.update(a["w"], a["w"], weights)
    step = backward_work(op, tensors, "update", channels=len(channels))
    assert (step.float_ops, step.int_ops, step.outputs) == (update.float_ops, update.int_ops, len(weights))
    assert step.sram_read == update.read_bytes("gw", 4) + update.read_bytes("w")
    assert step.sram_written == update.written_bytes("w")


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        (OpKind.GROUPED_CONV_2D, ((1, 3, 4, 6), (9, 2, 3, 2), (1, 3, 3, 9))),
        (OpKind.TRANSPOSE_CONV, ((1, 3, 4, 6), (5, 2, 3, 6), (1, 5, 8, 5))),
    ],
)
def test_grad_weight_of_groups_and_transposed_ones_counts_what_the_slow_twin_counts(kind, shapes):
    """All channels, and one of each group, whose errors are all seen."""
    step = {"stride": (2, 2), "shape": shapes[2]} if kind is OpKind.TRANSPOSE_CONV else {}
    op = Op("op", kind, ("x", "w"), "y", Attributes(padding=((1, 0), (0, 1)), **step))
    tensors = {n: Tensor(n, s, "int8", Quant.of(0.1)) for n, s in zip("xwy", shapes, strict=True)}
    a = arrays(tensors)
    for channels in (list(range(6)), [0, 3, 4]):
        count = twin.grad_weight(op, tensors, a["x"], a["y"], channels)
        work = backward_work(op, tensors, "grad_weight", channels=len(channels))
        assert work.float_macs == count.macs
        assert work.outputs == len(count.written["gw"])
        assert work.float_ops >= count.float_ops


@given(weighted(), st.sampled_from(sorted(PATTERNS)), st.data())
def test_grad_weight_of_pruned_pixels_counts_what_the_slow_twin_counts(drawn, name, data):
    op, tensors = drawn
    assume(op.kind is not OpKind.FULLY_CONNECTED)
    a, (_, height, width, cin) = arrays(tensors), tensors["x"].shape
    channels = sorted(data.draw(st.sets(st.integers(0, cin - 1), min_size=1)))
    pattern = PATTERNS[name]
    kept, phases = pattern.kept(height, width), pattern.phases(height, width)
    places = [pattern.positions(height, width, phase).tolist() for phase in range(phases)]
    counts = [twin.grad_weight(op, tensors, a["x"], a["y"], channels, pixels) for pixels in places]
    work = backward_work(op, tensors, "grad_weight", channels=len(channels), kept=kept)
    outputs = tensors["w"].elements // (cin * tensors["w"].shape[1] * tensors["w"].shape[2])
    mean = Fraction(sum(count.macs for count in counts), phases * len(channels) * outputs)
    assert work.float_macs == ceil(mean) * len(channels) * outputs
    assert work.sram_written == 4 * work.outputs == counts[0].written_bytes("gw", 4)
    assert {count.read_bytes("x") for count in counts} == {kept * len(channels)}
    same = tensors["x"].shape[:3] == tensors["y"].shape[:3]
    pointwise = tensors["w"].shape[1:3] == op.attributes.stride == (1, 1) and same
    for count in counts:
        scaled = work.float_ops - work.outputs
        read = len(count.read.get("g", ()))
        assert count.float_ops == read + work.outputs
        assert read == scaled if pointwise else read <= scaled
        assert count.int_ops == kept * len(channels) + read
    assert work.int_ops == kept * len(channels) + work.float_ops - work.outputs
    mask = ceil(tensors["y"].elements / 8)
    mask = ceil(mask * kept / (height * width)) if pointwise else mask
    assert work.sram_read == kept * len(channels) + 4 * (work.float_ops - work.outputs) + mask


@given(weighted())
def test_grad_bias_counts_what_the_slow_twin_counts(drawn):
    op, tensors = drawn
    count = twin.grad_bias(arrays(tensors)["y"])
    work = backward_work(op, tensors, "grad_bias")
    masked = tensors["y"].dtype == "int8"
    assert (work.float_ops, work.int_ops) == (count.float_ops, count.int_ops if masked else 0)
    assert work.sram_written == count.written_bytes("gb", 4)


@given(
    st.sampled_from([OpKind.ADD, OpKind.MUL, OpKind.MEAN, OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D]),
    st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1),
)  # fmt: skip
def test_ops_without_weights_count_what_the_slow_twin_counts(kind, rows, columns, channels, stride, pad):
    quant = Quant.of(0.1)
    x = Tensor("x", (1, rows, columns, channels), quant=quant)
    if kind in (OpKind.ADD, OpKind.MUL):
        shape, inputs, attributes = x.shape, ("x", "z"), Attributes()
    elif kind is OpKind.MEAN:
        shape, inputs, attributes = (1, channels), ("x",), Attributes(axes=(1, 2))
    else:
        pads = ((pad, pad), (pad, pad))
        shape = (1, (rows + 2 * pad - 1) // stride + 1, (columns + 2 * pad - 1) // stride + 1, channels)
        attributes = Attributes(stride=(stride, stride), padding=pads, kernel=(1, 1))
        inputs = ("x",)
    tensors = {"x": x, "z": Tensor("z", x.shape, quant=quant), "y": Tensor("y", shape, quant=quant)}
    op = Op("op", kind, inputs, "y", attributes)
    count, work = twin.elementwise(op, tensors), forward_work(op, tensors)
    assert (work.requants, work.int_ops) == (count.requants, count.int_ops)
    assert work.sram_written == count.written_bytes("y")


@pytest.mark.smoke
def test_known_counts_of_a_padded_3x3_convolution():
    tensors = {
        "x": Tensor("x", (1, 4, 4, 2)),
        "w": Tensor("w", (3, 3, 3, 2), data=np.zeros((3, 3, 3, 2), np.int8)),
        "y": Tensor("y", (1, 4, 4, 3)),
    }
    op = Op("op", OpKind.CONV_2D, ("x", "w"), "y", Attributes(padding=((1, 1), (1, 1))))
    work = forward_work(op, tensors)
    assert work.macs == 10 * 10 * 2 * 3  # 4 outputs a side: 2 + 3 + 3 + 2 taps
    assert work.im2col_bytes == 16 * 9 * 2
    assert kind_of(op, tensors) == "stem"


def test_float_ops_are_float_work():
    tensors = {
        "x": Tensor("x", (1, 8), "float32"),
        "w": Tensor("w", (3, 8), "float32", data=np.zeros((3, 8), np.float32)),
        "b": Tensor("b", (3,), "float32", data=np.zeros(3, np.float32)),
        "y": Tensor("y", (1, 3), "float32"),
    }
    work = forward_work(
        Op("op", OpKind.FULLY_CONNECTED, ("x", "w", "b"), "y", Attributes(clamp=None)), tensors
    )
    assert (work.macs, work.float_macs, work.requants, work.float_ops) == (0, 24, 0, 3)


COUNTS = {
    # (MACs, rescalings, integer operations, float operations) forward; float operations of the gradient.
    "pad": (0, 0, 0, 0, 972),  # 18 * 18 * 3 outputs, moved only
    "stem": (13824, 512, 1536, 0, 512),  # 64 windows of 27 taps, 8 channels; bias and clamp
    "relu": (0, 512, 1024, 0, 512),
    "depthwise": (3872, 512, 1536, 0, 512),  # (8 + 7 + 7)^2 taps, 8 channels
    "hard_swish": (0, 1536, 1536, 0, 1536),  # three rescalings an element
    "mean": (0, 8, 528, 0, 520),  # 512 additions and 8 clamps; 512 shares of 8 gradients
    "squeeze": (64, 8, 24, 0, 8),
    "gate": (0, 0, 8, 0, 24),  # looked up; gradient, saved output, product
    "spread": (0, 0, 0, 0, 0),  # a view
    "scaled": (0, 512, 1536, 0, 1536),
    "max_pool": (0, 0, 768, 0, 1152),  # 512 comparisons, 128 clamps
    "average_pool": (0, 128, 768, 0, 640),
    "sub": (0, 384, 384, 0, 128),
    "leaky_relu": (0, 128, 384, 0, 384),
    "tanh": (0, 0, 128, 0, 384),
    "add": (0, 384, 384, 0, 128),
    "nearest": (0, 0, 0, 0, 512),
    "bilinear": (2048, 512, 0, 0, 512),  # four corners
    "both": (0, 512, 0, 0, 1024),  # one of two inputs has another scale
    "relu6": (0, 1024, 2048, 0, 1024),
    "turned": (0, 0, 0, 0, 1024),
    **dict.fromkeys(("blocks", "twice", "spread_out", "cut"), (0, 0, 0, 0, 1024)),
    "mirrored": (0, 0, 0, 0, 11 * 9 * 16),
    "flipped": (0, 0, 0, 0, 11 * 9 * 16),
    "shuffled": (0, 0, 0, 0, 512),
    # 16 windows of 9 taps, less 4 + 4 - 1 rows and columns of padding; 4 channels each, clamps.
    "grouped": (11 * 11 * 4 * 16, 256, 768, 0, 256),
    "wide": (11 * 11 * 16 * 16, 1024, 3072, 0, 1024),
    "likeness": (16 * 16 * 6, 256, 512, 0, 256),
    "product": (16 * 6 * 16, 96, 192, 0, 96),
    "logs": (0, 192, 384, 0, 288),
    "unit_length": (96, 96, 288, 0, 288),
    "largest": (0, 0, 96, 0, 24 + 192),
    "smallest": (0, 0, 96, 0, 24 + 192),
    "total": (0, 6, 24 + 12, 0, 6 + 24),
    "attention": (0, 192, 288, 0, 288),
    **dict.fromkeys(("log", "elu", "gelu", "exp"), (0, 0, 96, 0, 288)),  # looked up
    "prelu": (0, 96, 384, 0, 288),
    "squares": (0, 288, 384, 0, 288),  # two operands and their squared difference are rescaled
    "root": (0, 0, 288, 288, 288),
    "divided": (0, 192, 1440, 0, 288),
    "inverse": (0, 192, 2400, 0, 288),
    **dict.fromkeys(("least", "most"), (0, 0, 96, 0, 288)),  # one comparison
    "magnitude": (0, 96, 288, 0, 288),
    "mish": (0, 0, 96, 0, 288),
    "clipped": (0, 96, 192, 0, 96),
    "unit": (0, 0, 192, 0, 96),  # of the scale of what it reads
    "requantised": (0, 96, 192, 0, 96),
    "real": (0, 0, 0, 192, 96),  # 96 differences, 96 products
}


def test_every_op_kind_has_counts():
    model = every_op_network()
    counted = {op.kind: op for op in reversed(model.ops) if op.name in COUNTS}
    assert set(counted) == set(OpKind) - set(LEFT_OUT)
    for op in model.ops:
        if op.name in COUNTS:
            work, back = (
                forward_work(op, model.tensors), backward_work(op, model.tensors, "grad_input"),
            )  # fmt: skip
            got = (work.macs, work.requants, work.int_ops, work.float_ops, back.float_ops)
            assert got == COUNTS[op.name], op.name
            assert work.outputs == model.tensors[op.output].elements
            assert back.outputs == model.tensors[op.inputs[0]].elements


def test_the_largest_elements_number_is_counted_by_its_comparisons():
    tensors = {"x": Tensor("x", (1, 10), quant=Quant.of(0.1)), "y": Tensor("y", (1,), "int32")}
    op = Op("op", OpKind.ARG_MAX, ("x",), "y", Attributes(axes=(1,)))
    assert forward_work(op, tensors).int_ops == 10
    with pytest.raises(BadModel, match="which has no gradient"):
        backward_work(op, tensors, "grad_input")
