"""The C files of one network: its header, its constants, its tables."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from mcusim import __version__
from mcusim.deployment.records import NOTHING
from mcusim.deployment.replay import flash_name
from mcusim.deployment.selftest import constant_sums, example, sums
from mcusim.deployment.tables import FirmwareTables
from mcusim.deployment.text import NULL, CText, array, initialiser, literal
from mcusim.mcu.flash.store import head_of
from mcusim.planning.plan import Plan
from mcusim.update.scheme import Scheme

MADE = "/* Made by mcusim {version} from {model}; to change it, plan again and write the folder again. */"


def files(network: FirmwareTables, plan: Plan, scheme: Scheme) -> dict[str, str]:
    """Return the texts of ``model/``, by file name."""
    made = MADE.format(version=__version__, model=plan.step.model.name)
    prefix = network.prefix
    data = f"{CHECKPOINT}{_image(network)}\n{network.constants.definitions()}"
    tables = _tables(network, plan, sha256(data.encode()).digest())
    expected = _expected(network, plan, scheme)
    return {
        f"{prefix}.h": header(network, plan),
        f"{prefix}_data.h": f"{made}\n{_guarded(prefix + '_data', _data_header(network, plan))}",
        f"{prefix}_data.c": f'{made}\n#include "{prefix}_data.h"\n\n{data}',
        f"{prefix}.c": f'{made}\n#include "{prefix}.h"\n#include "{prefix}_data.h"\n\n{tables}',
        f"{prefix}_selftest.c": f'{made}\n#include "{prefix}.h"\n#include "{prefix}_data.h"\n\n{expected}',
    }


CHECKPOINT = """/* The first copy of what is learned: the network as it came. A linker script that gives it
 * its place, the start of the checkpoint area, names a section; else it lies with the constants. */
#ifndef MCUSIM_CHECKPOINT
#define MCUSIM_CHECKPOINT
#endif
"""


ALIGNED = """#ifdef __GNUC__
__attribute__((aligned(8)))
#endif
"""


def _payload(network: FirmwareTables) -> bytes:
    """Return what a checkpoint of a device that has not learned yet holds: 0 steps at its end."""
    return b"".join(data for _, data in network.learned) + bytes(8)


def first_copy(network: FirmwareTables) -> bytes:
    """Return the first copy of what is learned: the network as it came."""
    payload, room = _payload(network), network.fields["header_bytes"]
    return head_of(1, payload, network.fields["identity"]).ljust(room, b"\xff") + payload


def _image(network: FirmwareTables) -> str:
    """Return the first copy as an array."""
    image = first_copy(network)
    text = array(f"{network.prefix}_checkpoint", np.frombuffer(image, np.uint8))
    aligned = ALIGNED if "resident" in network.fields else ""  # kernels read floats there
    return f"{aligned}MCUSIM_CHECKPOINT {text}"


def _firsts(network: FirmwareTables) -> list[dict[str, Any]]:
    """Return the starts that copy what is learned out of the first copy."""
    found, place = [], network.fields["header_bytes"]
    for at, data in network.learned:
        source = CText(f"{network.prefix}_checkpoint + {place}")
        if at != NULL:
            found.append({"to": at, "from": source, "bytes": len(data)})
        place += len(data)
    return found


def fields_of(network: FirmwareTables) -> dict[str, Any]:
    """Return the fields of the network's record."""
    return {name: value for name, value in network.fields.items() if name not in OUTSIDE}


OUTSIDE = ("header_bytes", "selection_steps", "replays", "replay_bytes")


def _guarded(name: str, text: str) -> str:
    guard = f"{name.upper()}_H"
    return f"#ifndef {guard}\n#define {guard}\n{text}\n#endif\n"


def sizes(network: FirmwareTables, plan: Plan) -> dict[str, int]:
    """Return the sizes that the header states."""
    model, fields = plan.step.model, network.fields
    replayed = {"REPLAYS": fields["replays"]} if "replays" in fields else {}
    if fields.get("replay_bytes"):
        replayed["REPLAY_AREA_BYTES"] = fields["replay_bytes"]
    return {
        "ARENA_BYTES": arena_bytes(plan),
        "INPUT_BYTES": sum(plan.step.tensors[name].bytes for name in plan.step.arrives),
        "OUTPUTS": sum(model.tensors[name].elements for name in plan.step.logits),
        "OPS": len(network.calls),
        "LEARNED_BYTES": sum(len(data) for _, data in network.learned),
        "CHECKPOINT_AREA_BYTES": fields["area_bytes"],
        **replayed,
    }


def arena_bytes(plan: Plan) -> int:
    """Return the bytes of the arena: the end of the highest tensor that is not the firmware's own."""
    offsets = plan.solution.offsets
    tensors = plan.step.tensors.values()
    return max(offsets[t.buffer] + t.bytes for t in tensors if t.name != "runtime")


def header(network: FirmwareTables, plan: Plan) -> str:
    """Return the text of the network's header, which says by which version it was made, and all sizes."""
    made = MADE.format(version=__version__, model=plan.step.model.name)
    prefix = network.prefix
    defines = "\n".join(f"#define {prefix.upper()}_{n} {v}" for n, v in sizes(network, plan).items())
    body = f"""#include "../kernels/mcusim.h"

{defines}

#ifdef __cplusplus
extern "C" {{
#endif
extern const mcusim_network {prefix};
extern const mcusim_expected {prefix}_expected; /* for mcusim_selftest; left out where nobody calls it */
#ifdef __cplusplus
}}
#endif
"""
    return f"{made}\n{_guarded(prefix, body)}"


def _data_header(network: FirmwareTables, plan: Plan) -> str:
    arena = f"extern uint8_t {network.prefix}_arena[{arena_bytes(plan)}];\n"
    size = network.fields["header_bytes"] + len(_payload(network))
    image = f"extern const uint8_t {network.prefix}_checkpoint[{size}];\n"
    state = f"extern mcusim_state {network.prefix}_state;\n"
    if network.fields.get("replay_bytes"):
        state += f"extern const mcusim_flash *{flash_name(network.prefix)};\n"
    if "probe_op" in network.fields:
        state += f"extern float {network.prefix}_above;\n"
    if "resident" in network.fields:
        state += f"extern mcusim_residence {network.prefix}_residence;\n"
    return f'#include "../kernels/records.h"\n\n{arena}{state}{image}{network.constants.declarations()}'


def _expected(network: FirmwareTables, plan: Plan, scheme: Scheme) -> str:
    """Return what the self test compares with."""
    prefix = network.prefix
    rows, held = sums(plan, scheme, network), constant_sums(network.constants)
    made = example(plan, network)
    fields = {
        "constants": CText(f"{prefix}_constants"), "sums": CText(f"{prefix}_sums"),
        "example": CText(f"{prefix}_made_ups"), "constants_count": len(held), "sums_count": len(rows),
        "example_count": len(made),
    }  # fmt: skip
    tables = _rows(network, "constant", "mcusim_sum", held) + _rows(network, "sum", "mcusim_sum", rows)
    tables += _rows(network, "made_up", "mcusim_made_up", made)
    return f"{tables}\nconst mcusim_expected {prefix}_expected = {initialiser(fields)};\n"


def _tables(network: FirmwareTables, plan: Plan, digest: bytes) -> str:
    prefix = network.prefix
    parts = [
        f"""/* Where a linker script gives the arena a place of its own, it names the section .arena. */
#ifndef MCUSIM_ARENA
#define MCUSIM_ARENA
#endif
MCUSIM_ARENA uint8_t {prefix}_arena[{arena_bytes(plan)}]
#ifdef __GNUC__
    __attribute__((aligned(8)))
#endif
    ;
mcusim_state {prefix}_state;
"""
    ]
    if network.fields.get("replay_bytes"):
        comment = "/* Where examples are kept; mcusim_keep_in says. */"
        parts.append(f"{comment}\nconst mcusim_flash *{flash_name(prefix)};\n")
    if "probe_op" in network.fields:
        parts.append(f"float {prefix}_above; /* the loss on the one side of what is perturbed */\n")
    if "resident" in network.fields:
        parts.append(f"mcusim_residence {prefix}_residence;\n")
    rows, names = [], []
    for number, (name, call) in enumerate(network.calls):
        names.append(literal(name))
        if call == NOTHING:
            rows.append(f"    {{{call.kernel}, NULL}}, /* {number}: {_comment(name)} */")
            continue
        record = f"{prefix}_{number}"
        parts.append(
            f"/* {number}: {_comment(name)} */\n"
            f"static const {call.struct} {record} = {initialiser(call.fields)};\n"
        )
        rows.append(f"    {{{call.kernel}, &{record}}}, /* {number}: {_comment(name)} */")
    parts.append(f"static const mcusim_op {prefix}_ops[] = {{\n" + "\n".join(rows) + "\n};\n")
    named = ",\n    ".join(names)
    parts.append(
        "#ifdef MCUSIM_NAMES\n"
        f"static const char *const {prefix}_names[] = {{\n    {named},\n}};\n"
        f"#define NAMES {prefix}_names\n#else\n#define NAMES NULL\n#endif\n"
    )
    starts = [*network.starts, *_firsts(network)]
    rates = np.array(network.rates, np.float64).astype(np.float32)
    parts.append("static " + array(f"{prefix}_rates", rates))
    parts.append(_rows(network, "start", "mcusim_start", starts))
    learned: list[Mapping[str, Any]] = [{"data": at, "bytes": len(data)} for at, data in network.learned]
    learned.append({"data": CText(f"&{prefix}_state.iteration"), "bytes": 8})
    parts.append(_rows(network, "part", "mcusim_part", learned))
    if network.drawn:
        parts.append(_rows(network, "drawn", "mcusim_drawn", network.drawn))
    fields: dict[str, Any] = {
        "format": CText("MCUSIM_FORMAT"), "name": plan.step.model.name,
        "version": __version__, "hash": int.from_bytes(digest[:4], "little"),
        "arena": CText(f"{prefix}_arena"), "arena_bytes": arena_bytes(plan), "ops": CText(f"{prefix}_ops"),
        "names": CText("NAMES"), "ops_count": len(network.calls), **fields_of(network),
        "rates": CText(f"{prefix}_rates"), "rates_count": len(network.rates),
        "starts": CText(f"{prefix}_starts"), "starts_count": len(starts),
        "learned": CText(f"{prefix}_parts"), "learned_count": len(learned),
        "learned_bytes": sum(row["bytes"] for row in learned),
        "drawn": CText(f"{prefix}_drawns") if network.drawn else NULL, "drawn_count": len(network.drawn),
        "state": CText(f"&{prefix}_state"),
    }  # fmt: skip
    parts.append(f"const mcusim_network {prefix} = {initialiser(fields)};\n")
    return "\n".join(parts)


def _rows(network: FirmwareTables, name: str, struct: str, rows: Any) -> str:
    body = "".join(f"    {initialiser(row, '        ')},\n" for row in rows)
    return f"static const {struct} {network.prefix}_{name}s[] = {{\n{body}}};\n"


def _comment(text: str) -> str:
    return text.replace("*/", "* /")
