"""Is a certificate true? ``python checker.py FILE`` says what is wrong first; it needs no other file."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise, takewhile
from math import comb, gcd
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
SCHEMA = "mcusim.certificate/1"
TEXTS = """schema model board update task residency patches planner name role what draws layer old new seal
provenance source uses biases barred regions"""
FLAGS = "fixed head optimal backward own"


def seal(certificate: Json) -> str:
    """Return the SHA-256 of everything but the seal: what was not meant to be changed was not."""
    plain = json.dumps({**certificate, "seal": ""}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def first_violation(certificate: Any) -> str | None:
    """Return the first thing in a certificate that is not so, in one line; ``None`` if all of it holds."""
    rules = (_shape, _figures, _selections, _places, _overlaps, _disjoint, _bound, _parts, _flash)
    try:
        return next((wrong for rule in rules for wrong in rule(certificate)), None)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        return f"it cannot be followed: {type(error).__name__}: {error}"


def _shape(certificate: Json) -> Iterator[str]:
    if certificate["schema"] != SCHEMA:
        yield f"it is of the form {certificate['schema']!r}, and this checker reads {SCHEMA!r}"
    yield from _mistyped(certificate, "certificate")
    if certificate["seal"] != seal(certificate):
        yield "the seal is not that of what it says: it was changed after it was made"


def _mistyped(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _mistyped(item, f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}")
        return
    named: str = "" if ".cost." in where else where.rpartition(".")[2].partition("[")[0]
    kind = str if named in TEXTS.split() or ".prices[" in where else bool if named in FLAGS.split() else int
    crops = named in ("rows", "columns")  # by padding below 0
    if type(value) is not kind or (type(value) is int and not (crops or 0 <= value < 2**62)):
        yield f"{where} is {value!r}, which a certificate does not have there"


def _figures(certificate: Json) -> Iterator[str]:
    figures = {figure["name"]: figure for figure in certificate["figures"]}
    if [*figures] != ["stack", "statics", "code"] or len(certificate["figures"]) != 3:
        yield "the figures are not those of stack, statics and code"
    for name, figure in figures.items():
        if figure["provenance"] not in ("exact", "modelled", "calibrated") or not figure["source"].strip():
            yield f"the figure of {name} does not say where it comes from"
    runtime = [b for b in certificate["sram"]["blocks"] if b["role"] == "runtime"]
    stays = [b for b in runtime if b["start"] == 0 and b["end"] == len(certificate["sram"]["ops"])]
    code = [i["bytes"] for i in certificate["flash"]["items"] if i["role"] == "code"]
    sram, said = sum(_rectangles(b)[-1][2] for b in stays), {n: f["bytes"] for n, f in figures.items()}
    if code != [said["code"]] or sram != said["stack"] + said["statics"]:
        yield "code in flash, stack and statics from the first op to the last are not those of the figures"


def _selections(certificate: Json) -> Iterator[str]:
    found, layers = certificate["selections"], certificate["selections"]["layers"]
    names = [layer["name"] for layer in layers]
    if len({*names}) < len(names) or len({*found["biases"]}) < len(found["biases"]):
        yield "a layer is named twice among the selections"
    draws = 1
    for name, total, most in ((n["name"], n["channels"], n["most"]) for n in layers):
        if not 0 < most <= total < 2**20:
            yield f"layer {name!r} learns {most} of {total} channels"
        draws *= sum(comb(total, k) for k in range(most if found["fixed"] else 0, most + 1))
    if found["draws"] != str(draws):
        yield "the number of selections is not that of these layers"
    for limit in found["limits"]:
        if limit["cost"].keys() != {*names} or not all(limit["cost"].values()):
            yield f"the limit of {limit['what']} does not say what a channel of each layer takes"


def _rectangles(block: Json) -> list[tuple[int, int, int]]:
    times = [block["start"], *(time for time, _ in block["shrinks"]), block["end"]]
    sizes = [block["bytes"], *(size for _, size in block["shrinks"])]
    return [(a, b, size) for (a, b), size in zip(pairwise(times), sizes, strict=True)]


def _at(block: Json, op: int) -> int:
    return next((size for start, end, size in _rectangles(block) if start <= op < end), 0)


def _places(certificate: Json) -> Iterator[str]:
    sram, blocks = certificate["sram"], certificate["sram"]["blocks"]
    ends = {b["name"]: (b["start"], b["end"]) for b in blocks}
    ends |= {p["name"]: (b["start"], p["end"]) for b in blocks for p in b["parts"] if p["name"] not in ends}
    for index, op in enumerate(sram["ops"]):
        for used in (used for used in op["uses"] if not ends[used][0] <= index < ends[used][1]):
            yield f"op {op['name']!r} uses {used!r}, which does not live then"
    if len({block["name"] for block in blocks}) < len(blocks):
        yield "a block is named twice"
    edges = [*accumulate(region["bytes"] for region in sram["memory"])]
    memory = [(r, edge - r["bytes"], edge) for r, edge in zip(sram["memory"], edges, strict=True)]
    for block in blocks:
        name, start, end = block["name"], block["offset"], block["offset"] + block["bytes"]
        align, rectangles = max(sram["align"], block["align"]), _rectangles(block)
        if align & (align - 1) or not block["align"] or start % align:
            yield f"block {name!r} lies at {start}, no multiple of its alignment {align}"
        if end > min(sram["capacity_bytes"], edges[-1]) or any(start < gap < end for gap in sram["gaps"]):
            yield f"block {name!r} ends at {end}, outside the memory there is or across a gap of it"
        touched = {region["name"] for region, a, b in memory if start < b and a < end}
        if {*block["regions"]} != touched or touched & {*block["barred"]}:
            yield f"block {name!r} lies in other regions than it says, or in one that it is barred from"
        falls = all(a[2] > b[2] for a, b in pairwise(rectangles)) and all(a < b for a, b, _ in rectangles)
        if not falls or block["end"] > len(sram["ops"]):
            yield f"block {name!r} lives or shrinks at ops that are none, or does not shrink"
    if sram["height_bytes"] != max((b["offset"] + b["bytes"] for b in blocks), default=0):
        yield f"the blocks do not end at {sram['height_bytes']}"


def _first(axis: Sequence[int], backward: bool) -> list[int | None]:
    """Return for every pixel written the first one read along one dimension; ``None`` for none."""
    inputs, outputs, window, stride, dilation, before = axis
    taps = [k * dilation - before for k in range(window)]
    if not backward:
        met = [[m for t in taps if 0 <= (m := at * stride + t) < inputs] for at in range(outputs)]
    else:
        steps = range(0, outputs * stride, stride)
        met = [[(at - t) // stride for t in taps if at - t in steps] for at in range(inputs)]
    return [min(pixels, default=None) for pixels in met]


def _distance(order: Json) -> int:
    """Return how far what is written gets ahead of what is still to be read, at the worst."""
    above, before = (_first(order[axis], order["backward"]) for axis in ("rows", "columns"))
    width = order["columns"][1 if order["backward"] else 0]
    needed = [None if y is None or x is None else y * width + x for y in above for x in before]
    worst, least = 0, None  # the first pixel that those after the one at hand still read
    for index, own in reversed([*enumerate(needed)]):
        before_it, least = least, min((p for p in (least, own) if p is not None), default=None)
        if (counts := least if order["own"] else before_it) is not None:
            worst = max(worst, (index + 1) * order["written"] - counts * order["read"])
    return worst


def _overlaps(certificate: Json) -> Iterator[str]:
    overlaps = certificate["sram"]["overlaps"]
    blocks = {block["name"]: block for block in certificate["sram"]["blocks"]}
    if len({(overlap["old"], overlap["new"]) for overlap in overlaps}) < len(overlaps):
        yield "an overlap is named twice"
    for order in overlaps:
        old, new = blocks[order["old"]], blocks[order["new"]]
        thing = f"the overlap of {old['name']!r} and {new['name']!r}"
        if old["end"] != new["start"] + 1 or old["start"] >= new["start"]:
            yield f"{thing} is of blocks that meet at other than one op"
        inputs, outputs = (order["rows"][i] * order["columns"][i] for i in (0, 1))
        read, written = (outputs, inputs) if order["backward"] else (inputs, outputs)
        if read * order["read"] != _at(old, new["start"]) or written * order["written"] != new["bytes"]:
            yield f"{thing} is of an op over other tensors"
        if order["distance"] != _distance(order):
            yield f"{thing} allows a distance of {order['distance']}, its loops {_distance(order)}"


def _disjoint(certificate: Json) -> Iterator[str]:
    """No two blocks share a byte at a time, but where the one dies as the other grows, far enough below."""
    blocks = certificate["sram"]["blocks"]
    allowed = {(o["old"], o["new"]): o["distance"] for o in certificate["sram"]["overlaps"]}
    rows = [(b["offset"], b["offset"] + n, a, e, b) for b in blocks for a, e, n in _rectangles(b) if n]
    rows.sort(key=lambda row: row[:4])
    for index, (_, top, start, end, block) in enumerate(rows):
        for low, _, begins, ends, other in takewhile(lambda row: row[0] < top, rows[index + 1 :]):  # noqa: B023
            if other is not block and begins < end and start < ends:
                old, new = (block, other) if block["start"] < other["start"] else (other, block)
                distance = allowed.get((old["name"], new["name"]))
                if distance is None or new["offset"] + distance > old["offset"]:
                    yield f"blocks {block['name']!r} and {other['name']!r} share byte {low}"


def _bound(certificate: Json) -> Iterator[str]:
    sram, op = certificate["sram"], certificate["sram"]["lower_bound"]["op"]
    live = {block["name"]: size for block in sram["blocks"] if (size := _at(block, op))}
    up = {name: -(-size // sram["align"]) * sram["align"] for name, size in live.items()}
    least = sum(up.values()) - max((up[name] - live[name] for name in live), default=0)
    born = {block["name"] for block in sram["blocks"] if block["start"] == op}
    for order in (order for order in sram["overlaps"] if order["new"] in born):
        most = up[order["new"]] - -(-order["distance"] // sram["align"]) * sram["align"]
        least -= max(min(up[order["old"]], most), 0)
    if sram["lower_bound"]["bytes"] != least or sram["optimal"] != (sram["height_bytes"] == least):
        yield f"the lower bound is {least} bytes at op {op}, and the height {sram['height_bytes']}"


def _parts(certificate: Json) -> Iterator[str]:
    """Every selection fits: what its channels take in a block is at most what the block has, at every op."""
    found, align = certificate["selections"], certificate["sram"]["align"]
    most = {layer["name"]: layer["most"] for layer in found["layers"]}
    for block in (b for b in certificate["sram"]["blocks"] if b["parts"] or b["prices"]):
        parts, name = block["parts"], block["name"]
        if parts[0]["end"] != block["end"] or any(a["end"] < b["end"] for a, b in pairwise(parts)):
            yield f"block {name!r} does not live as its parts do, the first the longest"
        for (start, _, size), price in zip(_rectangles(block), block["prices"], strict=True):
            live = [part for part in parts if part["end"] > start]
            needed = _worst(live, most, found["limits"], price)
            if len(live) > 1:  # each begins at a multiple of the alignment
                needed += sum(align - gcd(part["channel_bytes"], align) for part in live)
            if size < needed:
                yield f"block {name!r} has {size} bytes at op {start}, and a selection may need {int(needed)}"


def _worst(parts: Sequence[Json], most: Json, limits: Sequence[Json], price: Json) -> Fraction:
    """Return what no selection exceeds (weak duality): limits at their prices, and what bytes cost beyond."""
    priced = [(max(Fraction(price.get(limit["what"], "0")), 0), limit) for limit in limits]
    total = sum((p * limit["most"] for p, limit in priced), Fraction(0))
    for layer in {part["layer"] for part in parts}:
        taken = sum(part["channel_bytes"] for part in parts if part["layer"] == layer)
        total += most[layer] * max(taken - sum(p * limit["cost"][layer] for p, limit in priced), 0)
    return total


def _flash(certificate: Json) -> Iterator[str]:
    flash = certificate["flash"]
    edges = [0, *accumulate(size for count, size in flash["sectors"] for _ in range(count))]
    items = sorted(flash["items"], key=lambda item: item["offset"])
    if edges[-1] != flash["capacity_bytes"]:
        yield f"the sectors end at {edges[-1]}, the flash at {flash['capacity_bytes']}"
    for item, after in pairwise([*items, {"name": "its end", "offset": flash["capacity_bytes"]}]):
        if item["offset"] + item["bytes"] > after["offset"]:
            yield f"{item['name']!r} in flash reaches into {after['name']!r}"
    if flash["total_bytes"] != max((item["offset"] + item["bytes"] for item in items), default=0):
        yield f"what lies in flash does not end at {flash['total_bytes']}"
    for item in (item for item in items if item["role"] in ("checkpoint", "replay")):
        if not {item["offset"], item["offset"] + item["bytes"]} <= {*edges}:
            yield f"{item['name']!r} does not begin and end with a sector, and is erased with others"
    if any(len({x["name"] for x in rows}) < len(rows) for rows in (items, flash["learned"])):
        yield "a name is used twice in flash"
    learned = sum(entry["bytes"] for entry in flash["learned"])
    needed = learned + flash["counter_bytes"] + flash["header_bytes"] if learned else 0
    copies = [item for item in items if item["role"] == "checkpoint"]
    if (learned and len(copies) < 2) or any(item["bytes"] < needed for item in copies):
        yield f"there are not two places for checkpoints of {needed} bytes"


if __name__ == "__main__":
    said = first_violation(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    sys.exit(said and f"{sys.argv[1]}: {said}")
