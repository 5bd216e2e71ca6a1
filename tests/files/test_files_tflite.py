"""TFLite files: what is read, and every way in which a file can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_file import FLOAT16, FLOAT32, INT4, UINT8, FileSpec, OperatorSpec, TensorSpec

from mcusim.core import BadModel
from mcusim.engine.inference import activations
from mcusim.files.tflite.flatbuffer_writer import Writer
from mcusim.files.tflite.operators import clamp_range, same_padding
from mcusim.files.tflite.reader import load_tflite, parse_tflite
from mcusim.graph import Arithmetic, OpKind, Quant, Tensor

pytest.importorskip("flatbuffers")


@pytest.mark.smoke
def test_convolution_is_read_as_tflite_means_it() -> None:
    model = parse_tflite(FileSpec().bytes(), "small.tflite")
    conv, reshape = model.ops
    assert (model.name, model.arithmetic, conv.name) == ("small", Arithmetic.TFLITE, "y")
    assert conv.attributes.stride == (2, 2)
    assert conv.attributes.padding == ((1, 1), (1, 1))
    assert conv.attributes.clamp == (-100, 20)  # RELU6 at scale 0.05
    assert reshape.inputs == ("y",)
    assert set(model.tensors) == {"x", "w", "b", "y", "flat"}
    w = model.tensors["w"]
    assert w.quant is not None
    assert (w.quant.axis, w.quant.zero_point) == (0, 0)
    assert np.array_equal(np.asarray(w.data).ravel(), np.arange(54))


def test_uint8_becomes_int8_without_changing_a_real_value() -> None:
    spec = FileSpec()
    data = np.arange(54, dtype=np.uint8) * 4
    spec.tensors[0] = TensorSpec("x", (1, 5, 5, 2), UINT8, zero_point=(128,))
    spec.tensors[1] = TensorSpec("w", (3, 3, 3, 2), UINT8, data, (0.3,), (100,))
    spec.tensors[2].scale, spec.tensors[2].zero_point = (0.03,), (0,)
    for i in (3, 4):
        spec.tensors[i].type, spec.tensors[i].zero_point = UINT8, (0,)
    model = parse_tflite(spec.bytes(), "m")
    w = model.tensors["w"]
    assert w.quant is not None
    assert (w.dtype, w.quant.zero_point) == ("int8", -28)
    assert np.array_equal(np.asarray(w.data, int).ravel() + 28, data.astype(int) - 100)
    assert model.input.quant is not None
    assert model.input.quant.zero_point == 0
    assert model.ops[0].attributes.clamp == (-128, -8)
    # The product of both scales is the one that TFLite computes in float32.
    assert np.float32(0.1) * np.float32(0.3) != 0.1 * 3
    assert float(np.float32(0.1)) * float(w.quant.scale[0]) == float(np.float32(0.1) * np.float32(0.3))


def test_images_are_preprocessed_to_pixel_minus_128() -> None:
    preprocessing = parse_tflite(FileSpec().bytes(), "m").preprocessing
    pixels = np.arange(256)
    real = (pixels / 255 - preprocessing.mean[0]) / preprocessing.std[0]
    assert np.array_equal(np.rint(real / np.float32(0.1)), pixels - 128)


def change(**changes: Any) -> Callable[[FileSpec], None]:
    """Return what changes attributes: of the tensor ``at``, or of the file."""

    def apply(spec: FileSpec) -> None:
        at = changes.get("at")
        target: Any = spec if at is None else spec.tensors[at]
        for name, value in changes.items():
            if name != "at":
                setattr(target, name, value)

    return apply


def operator(index: int, **changes: Any) -> Callable[[FileSpec], None]:
    def apply(spec: FileSpec) -> None:
        for name, value in changes.items():
            setattr(spec.operators[index], name, value)

    return apply


def option(name: str, value: tuple[int, str, Any]) -> Callable[[FileSpec], None]:
    def apply(spec: FileSpec) -> None:
        spec.operators[0].options[name] = value

    return apply


WRONG: dict[str, tuple[Callable[[FileSpec], None], str]] = {
    "unsupported operator": (
        operator(1, code=7),
        r"op 1 \(EMBEDDING_LOOKUP\).*'y', 'shape'.*'flat'.*supported: ABS",
    ),
    "custom operator": (operator(1, code=32, custom="Magic"), r"op 1 \(Magic\).*not supported"),
    "unknown operator": (operator(1, code=9999), "op 1 .*9999.*not supported"),
    "a recurrent layer": (operator(1, code=44), r"SEQUENCE_LSTM\).*lacks weights.*export it as Keras"),
    "a variable of no handle": (operator(1, code=143, inputs=(3,)), r"READ_VARIABLE\).*no VAR_HANDLE"),
    "two subgraphs": (change(subgraphs=2), "2 subgraphs"),
    "old schema": (change(version=2), "version 2"),
    "float16": (change(at=1, type=FLOAT16), "'w'.*float16"),
    "int4": (change(at=1, type=INT4), "'w'.*int4"),
    "unknown type": (change(at=1, type=77), "'w'.*77"),
    "dynamic shape": (change(at=0, shape=(1, -1, 5, 2)), "'x'"),
    "dynamic signature": (
        change(at=0, extra={"signature": (7, "i4", (-1, -1, 5, 2))}),
        "'x'.*dynamic",
    ),
    "overflowing shape": (change(at=0, shape=(2**30, 2**30, 2**30, 2**30)), "'x'"),
    "too many dimensions": (change(at=0, shape=(1,) * 9), "'x'.*9 dimensions"),
    "zero scale": (change(at=0, scale=(0.0,)), "'x'.*scale 0"),
    "nan scale": (change(at=0, scale=(float("nan"),)), "'x'.*scale nan"),
    "negative scale": (change(at=0, scale=(-1.0,)), "'x'.*scale -1"),
    "huge scale": (change(at=0, scale=(1e30,)), r"'x'.*scale 1e\+30"),
    "no quantisation": (change(at=0, scale=()), "'x'.*without a scale"),
    "two scales for five": (change(at=0, scale=(1.0, 1.0), zero_point=(0, 0)), "'x'"),
    "zero point outside": (change(at=0, zero_point=(500,)), "'x'.*500"),
    "more zero points": (change(at=0, zero_point=(1, 2)), "'x'.*2 zero points"),
    "asymmetric channels": (change(at=1, zero_point=(0, 1, 0)), "'w'.*symmetric"),
    "values too short": (change(at=1, data=np.zeros(5, np.int8)), "'w'.*5 B of values"),
    "buffer outside": (change(at=1, buffer=99), "'w'.*buffer 99"),
    "weight is no constant": (change(at=1, data=None), "'w' is no constant"),
    "variable": (change(at=0, extra={"variable": (5, "bool", True)}), "'x'.*variable"),
    "tensor index outside": (operator(0, inputs=(0, 1, 77)), "tensor 77"),
    "negative tensor index": (operator(0, inputs=(0, -5, 2)), "tensor -5"),
    "left-out input": (operator(0, inputs=(0, -1, 2)), "tensor -1"),
    "no inputs": (operator(0, inputs=()), "no inputs"),
    "two outputs": (operator(1, outputs=(4, 3)), "op 1 .*one output"),
    "graph input outside": (change(inputs=(50,)), "inputs.*tensor 50"),
    "no outputs": (change(outputs=()), "no outputs"),
    "cycle": (operator(0, inputs=(3, 1, 2)), "'y'.*later"),
    "unused input": (change(inputs=(0, 4)), "'flat'.*input"),
    "a newer operator": (operator(0, version=99), r"m\.tflite: op 0 \(CONV_2D\).*version 99.*up to 8.*older"),
    "a newer operator that is read as others": (operator(1, code=43, version=9), r"SQUEEZE\).*version 9"),
    "signs": (change(at=3, type=UINT8, zero_point=(28,)), r"op 0 \(CONV_2D\).*mixes int8 with uint8"),
    "padding mode": (option("padding", (0, "int8", 7)), r"op 0 \(CONV_2D\).*padding mode 7"),
    "activation": (option("activation", (3, "int8", 5)), "fused activation 5"),
    "no stride": (option("h", (2, "int32", 0)), "stride"),
    "huge dilation": (option("dilation_h", (5, "int32", 2**31 - 1)), "op 'y'|dilation"),
    "wrong output shape": (change(at=3, shape=(1, 4, 4, 3)), r"op 'y'.*\(1, 3, 3, 3\).*\(1, 4, 4, 3\)"),
    "wrong reshape": (change(at=4, shape=(1, 28)), "'flat'"),
    "mixed types": (change(at=0, type=FLOAT32, scale=()), "float32 weights and gives int8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_wrong_file_is_a_clear_error(case: str) -> None:
    spec = FileSpec()
    apply, message = WRONG[case]
    apply(spec)
    with pytest.raises(BadModel, match=message):
        parse_tflite(spec.bytes(), "m.tflite")


@pytest.mark.parametrize("version", [1, 3, 8])
def test_every_known_version_of_an_operator_is_read(version: int) -> None:
    spec = FileSpec()
    spec.operators[0].version = version
    assert parse_tflite(spec.bytes(), "m.tflite").ops[0].kind is OpKind.CONV_2D


def test_what_leads_to_no_output_is_left_out() -> None:
    spec = FileSpec()
    spec.outputs = (3, 3)
    model = parse_tflite(spec.bytes(), "m.tflite")
    assert [op.kind for op in model.ops] == [OpKind.CONV_2D]
    assert model.outputs == ("y",)


def test_biases_with_a_misplaced_axis_are_read_with_a_warning() -> None:
    spec = FileSpec()
    spec.tensors[2].axis = 3
    with pytest.warns(UserWarning, match="'b' and 0 more.*LiteRT refuses"):
        model = parse_tflite(spec.bytes(), "m.tflite")
    quant = model.tensors["b"].quant
    assert quant is not None
    assert quant.axis == 0


def test_other_files_are_refused(tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04", b"\x00" * 100, bytes(8) + b"TFL3"):
        with pytest.raises(BadModel, match="identifier"):
            parse_tflite(data, "m")
    with pytest.raises(BadModel, match="cannot be read"):
        load_tflite(tmp_path / "missing.tflite")


def test_every_truncation_is_an_error() -> None:
    data = FileSpec().bytes()
    for end in range(len(data)):
        with pytest.raises(BadModel):
            parse_tflite(data[:end], "m")


def test_vectors_that_overlap_are_found_out() -> None:
    # One tensor with 80 kB of scales, listed 2,000 times: 160 MB in a file of 90 kB.
    w = Writer()
    quant = w.table(scale=(2, "offset", w.array(np.ones(20_000), "f4")))
    shape = w.array((20_000,), "i4")
    tensor = w.table(shape=(0, "offset", shape), type=(1, "int8", 9), quantization=(4, "offset", quant))
    tensors, buffers = w.offsets([tensor] * 2_000), w.offsets([w.table()])
    subgraphs = w.offsets([w.table(tensors=(0, "offset", tensors))])
    fields = {
        "version": (0, "uint32", 3),
        "graphs": (2, "offset", subgraphs),
        "buffers": (4, "offset", buffers),
    }
    with pytest.raises(BadModel, match="overlap"):
        parse_tflite(w.finish(w.table(**fields), b"TFL3"), "m")


@given(
    size=st.integers(1, 60),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
)
def test_same_padding_gives_ceil_size_over_stride(size: int, kernel: int, stride: int, dilation: int) -> None:
    (before, after), _ = same_padding((1, size, 1, 1), (kernel, 1), (stride, 1), (dilation, 1))
    reach = (kernel - 1) * dilation + 1
    assert (size + before + after - reach) // stride + 1 == -(-size // stride)
    assert 0 <= after - before <= 1


@given(scale=st.floats(2**-20, 1024, width=32), zero_point=st.integers(-128, 127))
def test_clamps_lie_within_int8_and_zero_is_kept(scale: float, zero_point: int) -> None:
    output = Tensor("y", (1,), "int8", Quant.of(scale, zero_point))
    assert clamp_range(output, 0) == (-128, 127)
    relu, relu6 = clamp_range(output, 1), clamp_range(output, 3)
    assert relu == (zero_point, 127)
    assert relu6 is not None
    assert relu6[0] == zero_point
    assert zero_point <= relu6[1] <= 127


@pytest.mark.data
def test_real_files_load(data_dir: Path) -> None:
    for path in sorted((data_dir / "tflite").glob("*.tflite")):
        if path.stem == "tflm_person_detect":
            with pytest.warns(UserWarning, match="claim to be quantised along another"):
                model = load_tflite(path)
        else:
            model = load_tflite(path)
        assert model.name == path.stem
        if "mobilenet_v2_1.0" in path.stem or "tflm_mobilenet_v2" in path.stem:
            assert model.conv_weights == 2_189_760
    assert OpKind.RESIZE_BILINEAR in {op.kind for op in load_tflite(data_dir / "tflite" / DEEPLAB).ops}


DEEPLAB = "coral_deeplabv3_mnv2_dm05_pascal_quant.tflite"


def test_operators_in_old_files_have_their_code_in_a_byte() -> None:
    spec = FileSpec()
    spec.operators[1] = OperatorSpec(22, (3, 5), (4,))
    assert [op.kind for op in parse_tflite(spec.bytes(), "m").ops] == [OpKind.CONV_2D, OpKind.RESHAPE]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_any_size_is_one_example(size: int) -> None:
    spec, plain = FileSpec(), parse_tflite(FileSpec().bytes(), "m.tflite")
    for at in (0, 3, 4):
        spec.tensors[at].shape = (size, *spec.tensors[at].shape[1:])
    spec.tensors[5].data = np.array([-1, 27], np.int32)
    model = parse_tflite(spec.bytes(), "m.tflite")
    assert [t.shape for t in model.tensors.values()] == [t.shape for t in plain.tensors.values()]
    if size < 0:
        return  # LiteRT reads no such file, which old converters wrote
    module = pytest.importorskip("ai_edge_litert.interpreter")
    reference = module.OpResolverType.BUILTIN_REF
    runtime = module.Interpreter(model_content=spec.bytes(), experimental_op_resolver_type=reference)
    x = np.random.default_rng(0).integers(-128, 128, model.input.shape).astype(np.int8)
    runtime.resize_tensor_input(0, x.shape)
    runtime.allocate_tensors()
    runtime.set_tensor(0, x)
    runtime.invoke()
    assert np.array_equal(runtime.get_tensor(4), activations(model, x)["flat"])
