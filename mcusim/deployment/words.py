"""What the templates of a folder leave open: sizes, and how this network is called."""

from __future__ import annotations

from mcusim import __version__
from mcusim.deployment.model_files import sizes
from mcusim.deployment.tables import FirmwareTables
from mcusim.graph import Tensor
from mcusim.planning.plan import Plan


def words(made: FirmwareTables, plan: Plan) -> dict[str, str]:
    """Return the words of the templates, and what stands in their place."""
    settings, model, own = plan.settings, plan.step.model, made.prefix
    rows = {name.lower().replace("_", " "): value for name, value in sizes(made, plan).items()}
    rows |= {f"{role} in flash": count for role, count in made.constants.role_bytes.items()}
    infer, call, measured, buffers = _calls(made, plan)
    notes = ""
    if made.fields["error_scales"]:
        notes += "\nBefore the first step, `mcusim_calibrate` finds the scales of the integer errors.\n"
    if model.states:
        notes += f"\n`mcusim_begin(&{own})` begins a sequence; all its inputs but the last are inferred, "
        notes += "and the last is learned from.\n"
    upper = own.upper()
    if plan.step.replay is not None:
        again = f"`mcusim_train_again(&{own})`, `{upper}_REPLAYS` times"
        notes += f"\nBefore each new example call {again}: it learns one that was kept.\n"
        notes += "`mcusim_train` keeps its own, or not, as the policy says.\n"
    if plan.step.kept is not None:
        notes += f"`mcusim_keep_in(&{own}, &flash)` says first in which flash: `{upper}_REPLAY_AREA_BYTES`\n"
        notes += "that begin with an erase unit, addressed from 0. It begins with an empty buffer.\n"
    if "resident" in made.fields:
        notes += f"\n`mcusim_write_to(&{own}, &flash, area)` says where weights live that learn: when a\n"
        notes += "stage ends, they are written back to the copy that is not in force (`area` is where it is\n"
        notes += (
            "read as memory, at a multiple of 4). If that fails, the same channels go on learning. After\n"
        )
        notes += "a reset call `mcusim_load`.\n"
    if not plan.step.scope.fixed:
        notes += "\nEach layer has a place for the most channels that it may get; a stage may choose fewer.\n"
    return {
        "NAME": model.name, "PREFIX": own, "UPPER": own.upper(),
        "VERSION": __version__, "BOARD": plan.board.name,
        "COMMAND": f"mcusim firmware -m {model.name} -b {plan.board.name} -u {settings.update}",
        "SIZES": "\n".join(f"| {name} | {value:,} |" for name, value in rows.items()),
        "INFER": infer, "TRAIN": call, "INPUTS": _inputs(made, plan),
        "AREA": f"{made.fields['area_bytes']:,}", "NOTES": notes, "MEASURED": measured, "BUFFERS": buffers,
    }  # fmt: skip


def _calls(made: FirmwareTables, plan: Plan) -> tuple[str, str, str, str]:
    """Return the calls that infer, that learn, and that are measured, and the buffers of that."""
    own, model, goals = made.prefix, plan.step.model, plan.step.goals
    assert goals is not None
    infer = f"mcusim_infer(&{own}, input)"
    buffer = f"static uint8_t input[{own.upper()}_INPUT_BYTES];\n"
    if len(model.inputs) == 1 and goals.single is not None:
        if plan.step.target is None:
            return infer, f"mcusim_train(&{own}, input, label)", f"mcusim_train(&{own}, input, 0)", buffer
        call = f"mcusim_train_target(&{own}, input, target)"
        return infer, call, call, f"static uint8_t target[{made.fields['target_bytes']}];\n{buffer}"
    call = f"mcusim_train_several(&{own}, inputs, labels, targets)"
    # What is NULL is in its place, and of zeros.
    buffer = f"static const void *inputs[{len(model.inputs)}], *targets[{len(goals.items)}];\n"
    buffer += f"static uint32_t labels[{len(goals.items)}];\n"
    return f"mcusim_infer_several(&{own}, inputs)", call, call, buffer


def _inputs(made: FirmwareTables, plan: Plan) -> str:
    """Return what the inputs are, in words."""
    own, model, front = made.prefix, plan.step.model, plan.step.front_end
    if front is not None:
        count = plan.step.tensors[plan.step.arrives[0]].shape[0]
        what = f"{count:,} samples int16, {front.rate:,} a second; `{front.text}` makes the input of them"
        return f"`input` is `{own.upper()}_INPUT_BYTES` bytes: {what}."
    inputs = [model.tensors[name] for name in model.inputs]
    if len(inputs) == 1:
        return f"`input` is `{own.upper()}_INPUT_BYTES` bytes: {_meant(inputs[0])}."
    each = "; ".join(f"{x.name}, {x.bytes} bytes: {_meant(x)}" for x in inputs)
    return f"`inputs` are pointers to {each}."


def _meant(x: Tensor) -> str:
    scale = "" if x.quant is None else f", real = {float(x.quant.scale[0]):.9g} * (q - {x.quant.zero_point})"
    return f"{x.dtype} {'x'.join(map(str, x.shape[1:]))}{scale}"
