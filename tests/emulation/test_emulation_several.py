"""Several inputs, several outputs that learn, and states: the engine's bytes, from programs on boards too."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from emulation_networks import session
from several_network import A, B, labels, network
from stream_network import streaming

import mcusim
from mcusim.core import BadModel, Role
from mcusim.data.arrays import from_arrays
from mcusim.emulation.compilers import zig
from mcusim.emulation.verb import twin_of
from mcusim.graph import Attributes, Model, Op, OpKind, Quant, Tensor
from mcusim.graph.validate import validate
from mcusim.lowering.action import Action
from mcusim.update.formats import Formats

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffp-contract=off"]
SEVERAL = {
    "two inputs": {"inputs": 2, "heads": (3,)},
    "two losses": {"output": "0+1"},
    "by weight": {"inputs": 2, "output": "0*0.25+1*2"},
    "by weight, integers": {"softmax": True, "output": "0*0.3+1", "error": "int8"},
    "another task": {"inputs": 2, "output": "0+1*0.5", "task": "classification+regression"},
}  # fmt: skip


def several(name: str) -> tuple[mcusim.Session, mcusim.data.Dataset]:
    """Return a session of one of those networks and data for it."""
    given = SEVERAL[name]
    model = network(**{key: given[key] for key in ("inputs", "heads", "softmax") if key in given})
    choices = {key: given[key] for key in ("output", "task") if key in given}
    y = labels(model)
    if "task" in given:
        y["head1"] = A[:, :2]
    x = {"a": A, "b": B} if len(model.inputs) == 2 else A
    data = from_arrays(x, y if len(y) > 1 else next(iter(y.values())))
    return session(model, "dense", formats=Formats(error=given.get("error", "float32")), **choices), data


@pytest.mark.parametrize("name", SEVERAL)
def test_several_inputs_and_losses_give_the_same_bytes(name):
    own, data = several(name)
    found = twin_of(own, data, 3, core="cortex-m7", selftest=True)
    assert found.equal, str(found.first_difference)
    assert found.outside_arena_writes == 0
    assert "PASS" in (found.selftest or "")


def test_the_weight_of_the_only_loss_is_refused(tmp_path):
    with pytest.raises(BadModel, match=r"weight 0\.5 of the only loss"):
        session(network(heads=(3,)), "dense", output="0*0.5").firmware(tmp_path / "out")


def stream() -> Model:
    """Return the streaming network."""
    from mcusim.files.tflite.reader import parse_tflite

    return parse_tflite(streaming(np.random.default_rng(3)).bytes(), "stream.tflite")


def deeper(model: Model) -> Model:
    """Return the streaming network with one more layer before its last."""
    tensors, ops = dict(model.tensors), list(model.ops)
    place = next(i for i, op in enumerate(ops) if op.kind is OpKind.FULLY_CONNECTED)
    last = ops[place]
    x = tensors[last.inputs[0]]
    weight = np.random.default_rng(5).integers(-90, 90, (x.shape[-1],) * 2).astype(np.int8)
    tensors["more.w"] = Tensor("more.w", weight.shape, "int8", Quant.of(0.01), weight)
    tensors["more"] = replace(x, name="more")
    ops[place] = replace(last, inputs=("more", *last.inputs[1:]))
    ops.insert(place, Op("more", OpKind.FULLY_CONNECTED, (x.name, "more.w"), "more", Attributes()))
    return validate(replace(model, ops=tuple(ops), tensors=tensors))


def sequences(times: int) -> mcusim.data.Dataset:
    """Return sequences of so many moments."""
    x = np.random.default_rng(1).integers(-128, 128, (24, times, 2, 1, 4)).astype(np.int8)
    return from_arrays(x, (x[:, -1:].mean((1, 2, 3, 4)) > 0).astype(np.int64))


@pytest.mark.parametrize(("times", "update"), [(1, "head"), (5, "head"), (3, "last-1")])
def test_what_is_kept_from_one_moment_to_the_next_is_the_same(times, update):
    pytest.importorskip("flatbuffers")
    own = session(stream() if update == "head" else deeper(stream()), update)
    step = own.plan().step
    assert sum(op.action is Action.KEEP for op in step.ops) == len(step.model.states) == 2
    assert {step.tensors[s.name].role for s in step.model.states} == {Role.STATE}
    found = twin_of(own, sequences(times), 3, core="cortex-m4", selftest=True)
    assert found.equal, str(found.first_difference)
    assert "PASS" in (found.selftest or "")


@pytest.mark.parametrize("times", [1, 3])
def test_scales_of_integer_errors_are_found_with_what_is_kept_as_it_is(times):
    pytest.importorskip("flatbuffers")
    own = session(deeper(stream()), "last-1", formats=Formats(error="int8", head="int8"))
    found = twin_of(own, sequences(times), 3, core="cortex-m4", selftest=True)
    assert found.equal, str(found.first_difference)


USE = """
#include <stdio.h>
#include "model/@.h"

int main(void) {
    static const int8_t a[6] = {9, -7, 5, 3, -100, 90}, b[4] = {50, -60, 7, 1};
    static const uint32_t classes[2] = {2, 1};
    const void *inputs[2] = {a, b};
    mcusim_init(&@);
    printf("%a ", (double)mcusim_train_several(&@, inputs, classes, NULL));
    for (int i = 0; i < 6; i++) ((int8_t *)@.inputs[0].data)[i] = a[i];
    inputs[0] = NULL; /* it is in its place */
    printf("%a ", (double)mcusim_train_several(&@, inputs, classes, NULL));
    inputs[0] = a;
    mcusim_answer first = mcusim_infer_several(&@, inputs), second = mcusim_answer_of(&@, 1);
    printf("%u %u", (unsigned)first.category, (unsigned)second.category);
    return first.category != mcusim_answer_of(&@, 0).category || second.score > 1.0f;
}
"""


def test_a_program_learns_from_several_inputs_and_labels(tmp_path):
    own = session(network(inputs=2), "dense", output="0+1*0.5")
    made = own.firmware(tmp_path / "out")
    (made.folder / "use.c").write_text(USE.replace("@", made.name), "utf-8")
    sources = [*(made.folder / "kernels").glob("*.c"), *(made.folder / "model").glob("*.c")]
    out = made.folder / "use.out"
    words = [*zig(), *STRICT, *map(str, sources), str(made.folder / "use.c"), "-o", str(out)]
    subprocess.run(words, check=True)
    done = subprocess.run([out], capture_output=True, text=True, check=True).stdout.split()
    x = np.zeros(1, [("a", np.int8, (1, 6)), ("b", np.int8, (1, 4))])[0]
    x["a"], x["b"] = [9, -7, 5, 3, -100, 90], [50, -60, 7, 1]
    step = own.plan().step
    program = _program(own, step)
    wanted = {"head0": 2, "head1": 1}
    losses = [program.run(x, wanted) for _ in range(2)]
    assert [float.fromhex(word) for word in done[:2]] == losses
    assert losses[0] != losses[1]
    program.store()
    trained = program.state.trained()
    shares = mcusim.predict(trained, {"a": x["a"], "b": x["b"]}, output="head1")
    assert int(done[3]) == int(np.argmax(shares))


def _program(own, step):
    from mcusim.engine.buffers import SeparateBuffers
    from mcusim.engine.program import Program
    from mcusim.engine.state import State

    state = State.of(step.model, step.scope, own.settings.formats)
    program = Program(step, SeparateBuffers(step), state, own.settings.sgd, seed=own.settings.seed)
    program.load(own.scheme.select(step.model, 0, own.settings.seed))
    return program
