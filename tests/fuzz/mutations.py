"""Changes to files that know their structure: what a blind change would break at once is put right again.

A mutator takes a random generator and the bytes of a file and returns other bytes. Containers (zip, JSON,
PNG, protocol buffers) are taken apart, one part is changed, and lengths, checksums and brackets fit again, so
that the change gets as deep as it can.
"""

from __future__ import annotations

import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any
from zlib import crc32

Mutator = Callable[[random.Random, bytes], bytes]

NUMBERS = (
    0, 1, -1, 2, 3, 7, 127, 128, 255, 256, -128, -129, 32_767, 65_536, 2**31 - 1, 2**31, -(2**31), 2**32,
    2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**19, 10**30, 0.5, -0.0, 1e-300, 1e300, 1e999, -1e999,
)  # fmt: skip
WORDS = (
    "",
    "x",
    "é",
    "\x00",
    "\x1b[31m",
    "..",
    "/",
    "None",
    "nan",
    "inf",
    "-",
    "0",
    "1e5",
    "a" * 300,
    "\ud7ff",
    "{}",
    "[]",
)
PIECES = (
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80" * 9 + b"\x01", b",", b'"', b"\n", b"-",
    b"\r\n", b"=", b"[", b"]", b"{", b"}", b"9" * 30, b"9223372036854775808", b"nan", b"1e999", b"\xc3",
    b"x" * 5000, b"[" * 3000, b"PK\x03\x04",
)  # fmt: skip


TOKEN = re.compile(r"[-+]?\d[\d_.]*(?:e[-+]?\d+)?|\w+|[^\w\s]")
WINDOW = 100_000
"""Characters of a text in which a word is changed: all words of a large one take more memory than readers."""


def raw(rng: random.Random, data: bytes) -> bytes:
    """Change bytes, words and pieces anywhere, more often near the ends, where files keep their structure."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        size = len(changed)
        at = rng.choice(
            (rng.randrange(size + 1), rng.randrange(min(size, 512) + 1), max(size - rng.randrange(512), 0))
        )
        match rng.randrange(7):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1 if at < size:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                word = rng.choice(NUMBERS[:24])
                changed[at : at + 4] = (int(word) % 2**32).to_bytes(4, rng.choice(("little", "big")))
            case 3:
                changed[at:at] = rng.choice(PIECES)
            case 4:
                del changed[at : at + rng.choice((1, 2, 4, 8, 64))]
            case 5:
                part = changed[at : at + rng.choice((1, 4, 40))]
                changed[at:at] = part * rng.choice((1, 2, 50))
            case _:
                if rng.random() < 0.2:
                    del changed[at:]
        if not changed:
            break
    return bytes(changed)


def text(rng: random.Random, data: bytes) -> bytes:
    """Change a number, a word or a line of a text, or bytes of it."""
    if rng.random() < 0.2:
        return raw(rng, data)
    found = data.decode("utf-8", "replace")
    for _ in range(rng.choice((1, 1, 2, 3))):
        start = rng.randrange(max(len(found) - WINDOW, 0) + 1)
        tokens = list(TOKEN.finditer(found, start, start + WINDOW))
        lines = found.split("\n")
        match rng.randrange(5):
            case 0 | 1 if tokens:
                token = rng.choice(tokens)
                new = rng.choice((*map(str, NUMBERS), *WORDS, rng.choice(tokens)[0]))
                found = found[: token.start()] + new + found[token.end() :]
            case 2:
                del lines[rng.randrange(len(lines))]
                found = "\n".join(lines)
            case 3:
                lines[rng.randrange(len(lines))] = rng.choice(lines)
                found = "\n".join(lines)
            case _:
                place = rng.randrange(len(lines) + 1)
                lines[place:place] = [rng.choice(lines)] * rng.choice((1, 2, 200))
                found = "\n".join(lines)
    return found.encode("utf-8", "surrogatepass")


def json_text(rng: random.Random, data: bytes) -> bytes:
    """Change values, keys and types of a JSON document."""
    if rng.random() < 0.1:
        return text(rng, data)
    try:
        found = json.loads(data)
    except ValueError:
        return raw(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        found = _changed(rng, found)
    return json.dumps(found).encode("utf-8", "surrogatepass")


def _changed(rng: random.Random, whole: Any) -> Any:
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    if not isinstance(whole, dict | list) or not whole:
        return _value(rng)
    walk(whole)
    node, key = rng.choice(places)
    match rng.randrange(6):
        case 0 | 1 | 2:
            node[key] = _value(rng)
        case 3:
            del node[key]
        case 4:
            other, name = rng.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                node[key] = json.loads(json.dumps(other[name]))
        case _:
            if isinstance(node, list):
                node[key:key] = [json.loads(json.dumps(node[key]))] * rng.choice((1, 2, 100))
            else:
                node[rng.choice(WORDS)] = node[key]
    return whole


def _value(rng: random.Random) -> Any:
    return rng.choice((*NUMBERS, *WORDS, None, True, False, [], {}, [[]], {"a": 1}, [1, 2, 3], [0] * 100))


def array(rng: random.Random, data: bytes) -> bytes:
    """Change the header of a ``.npy`` file, its length fitting again, or its numbers."""
    if rng.random() < 0.4 or data[:6] != b"\x93NUMPY" or len(data) < 10:
        return raw(rng, data)
    size = struct.unpack_from("<H", data, 8)[0]
    head, body = data[10 : 10 + size], data[10 + size :]
    head = text(rng, head)[:60_000] if rng.random() < 0.7 else head
    return data[:8] + struct.pack("<H", len(head)) + head + (raw(rng, body) if rng.random() < 0.3 else body)


def archive(**inner: Mutator) -> Mutator:
    """Return a mutator of zip archives: entries by the end of their name, with checksums that fit again."""

    def change(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.15:
            return raw(rng, data)
        with zipfile.ZipFile(BytesIO(data)) as old:
            entries = [(name, old.read(name)) for name in old.namelist()]
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(len(entries))
            name, content = entries[at]
            match rng.randrange(12):
                case 0:
                    del entries[at]
                    entries = entries or [("x", b"")]
                case 1:
                    entries.append((name, rng.choice(entries)[1]))
                case 2:
                    entries[at] = (rng.choice((*WORDS[1:], "../x", "mcusim.json")), content)
                case _:
                    # Descriptions are few and arrays many: half of the changes go into the former.
                    described = [i for i, (n, _) in enumerate(entries) if n.endswith("json")]
                    if described and rng.random() < 0.5:
                        at = rng.choice(described)
                        name, content = entries[at]
                    kind = next((k for k in inner if name.endswith(k)), None)
                    entries[at] = (name, (inner[kind] if kind else raw)(rng, content))
        file = BytesIO()
        with zipfile.ZipFile(file, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as new:
            for name, content in entries:
                info = zipfile.ZipInfo(name.replace("\0", "") or "x")
                new.writestr(info, content)
        return file.getvalue()

    return change


def png(rng: random.Random, data: bytes) -> bytes:
    """Change a chunk of a PNG, its length and checksum fitting again."""
    if rng.random() < 0.2:
        return raw(rng, data)
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    place = rng.randrange(len(chunks))
    match rng.randrange(4):
        case 0:
            del chunks[place]
        case 1:
            chunks.append(chunks[place])
        case _:
            chunks[place] = (chunks[place][0], raw(rng, chunks[place][1]))
    parts = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", crc32(k + b)) for k, b in chunks)
    return data[:8] + b"".join(parts)


def message(kind: Callable[[], Any]) -> Mutator:
    """Return a mutator of protocol buffers: fields of messages, however deep."""

    def change(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.2:
            return raw(rng, data)
        whole = kind()
        whole.ParseFromString(data)
        for _ in range(rng.choice((1, 1, 2, 3))):
            _field(rng, whole)
        return bytes(whole.SerializeToString())

    return change


def _field(rng: random.Random, node: Any) -> None:
    """Go down a few messages, and change a field there."""
    while True:
        inner = []
        for field, value in node.ListFields():
            if field.message_type is not None:
                inner += list(value) if hasattr(value, "add") else [value]
        if not inner or rng.random() < 0.25:
            break
        node = rng.choice(inner)
    fields = list(node.DESCRIPTOR.fields)
    field = (
        rng.choice([f for f, _ in node.ListFields()] or fields) if rng.random() < 0.8 else rng.choice(fields)
    )
    try:
        _set(rng, node, field)
    except (ValueError, TypeError, OverflowError):
        node.ClearField(field.name)


def _set(rng: random.Random, node: Any, field: Any) -> None:
    value = getattr(node, field.name)
    repeated = hasattr(value, "append") or hasattr(value, "add")
    if rng.random() < 0.2:
        node.ClearField(field.name)
        return
    if field.message_type is not None:
        if repeated and len(value):
            value.add().CopyFrom(rng.choice(list(value)))
        return
    new: Any = rng.choice(NUMBERS)
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        new = rng.choice(WORDS)
        new = (
            new
            if field.type == field.TYPE_STRING
            else raw(rng, value if isinstance(value, bytes) else b"12345678")
        )
    elif field.type not in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        new = int(new) if abs(new) < 2**63 else 2**31 - 1
    if repeated:
        if len(value) and rng.random() < 0.7:
            value[rng.randrange(len(value))] = new
        else:
            value.append(new)
    else:
        setattr(node, field.name, new)
