"""Every reader with files to begin from: what the fuzzer changes, and how it uses what it changed."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from random import Random

import mutations as m
import numpy as np

import mcusim
from mcusim.core import OutOfSram
from mcusim.core.checksum import BLANK, seal
from mcusim.core.errors import BadProof

Files = dict[str, bytes]


@dataclass(frozen=True)
class Reader:
    """One way into the program.

    Attributes:
        seeds: makes the files to begin from, each a folder's content by name; the first file is changed.
        mutate: changes it.
        use: reads it, given its path.
    """

    seeds: Callable[[Path], list[Files]]
    mutate: m.Mutator
    use: Callable[[Path], object]


def load(path: Path) -> None:
    """Read a network, and say what its layers are."""
    mcusim.show(mcusim.load(path))


def _network(folder: Path) -> list[Files]:
    from networks import small_network

    from mcusim.files.npz import save

    save(small_network(), folder / "net.npz")
    return [{"net.npz": (folder / "net.npz").read_bytes()}]


def _tflite(folder: Path) -> list[Files]:
    from files_synthetic import synthetic
    from tflite_file import FileSpec

    from mcusim.files.save import save

    save(synthetic(), folder / "net.tflite")
    return [{"a.tflite": (folder / "net.tflite").read_bytes()}, {"a.tflite": FileSpec().bytes()}]


def _onnx(folder: Path) -> list[Files]:
    from files_onnx_file import qdq
    from files_synthetic import synthetic

    model = synthetic()
    model = replace(model, ops=model.ops[:-1], outputs=model.ops[-1].inputs)  # there is no softmax of int8
    return [{"a.onnx": qdq(model).SerializeToString()}]


def _onnx_message() -> object:
    import onnx

    return onnx.ModelProto()


def _graph(folder: Path) -> list[Files]:
    rng = np.random.default_rng(0)
    conv = {
        "op": "conv2d",
        "input_zero_point": 0,
        "output_scale": 0.1,
        "output_zero_point": 0,
        "input_scale": 0.1,
    }
    first = {
        "id": "a",
        "inputs": ["x"],
        "out_channels": 4,
        "out_hw": [4, 4],
        "stride": [2, 2],
        "padding": [1, 1],
    }
    last = {"id": "c", "inputs": ["p"], "out_channels": 2, "out_hw": [1, 1]}
    pool = {"id": "p", "op": "global_avg_pool", "inputs": ["a"], "out_channels": 4, "output_scale": 0.1}
    layers = [
        {**conv, **first, "padding": [1, 1], "weight": "w", "bias": "b", "weight_scales": "s"}, pool,
        {**conv, **last, "weight": "v", "bias": "d", "weight_scales": "t"},
    ]  # fmt: skip
    about = {"id": "x", "shape": [1, 3, 8, 8], "scale": 0.1, "zero_point": 0}
    graph = {"format": "int8-graph-v1", "name": "g", "head": {"layer": "c"}, "input": about, "layers": layers}
    file = BytesIO()
    np.savez(
        file, w=rng.integers(-9, 9, (4, 3, 3, 3)).astype(np.int8), b=np.zeros(4, np.int32),
        s=np.ones(4, np.float32), v=rng.integers(-9, 9, (2, 4, 1, 1)).astype(np.int8),
        d=np.zeros(2, np.int32), t=np.ones(2, np.float32),
    )  # fmt: skip
    return [{"g.json": json.dumps(graph).encode(), "g.npz": file.getvalue()}]


def _pkl(folder: Path) -> list[Files]:
    rng = np.random.default_rng(0)

    def conv(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> dict[str, object]:
        shape = (outputs, inputs // groups, kernel, kernel)
        params = {
            "weight": rng.integers(-9, 9, shape).astype(np.int8), "bias": np.zeros(outputs),
            "w_scales": np.ones(outputs, np.float32), "x_scale": np.float64(0.1), "x_zero": np.array(0),
            "y_scale": np.array([0.1]), "y_zero": 0,
        }  # fmt: skip
        return {"in_channel": inputs, "out_channel": outputs, "kernel_size": kernel, "stride": stride,
                "groups": groups, "params": params}  # fmt: skip

    added = {"params": {"x_scale": np.float64(0.1), "x_zero": 0, "y_scale": np.float64(0.1), "y_zero": 0}}
    block = {"pointwise1": conv(4, 8, 1, 1), "depthwise": conv(8, 8, 3, 1, 8), "pointwise2": conv(8, 4, 1, 1),
             "residual": added}  # fmt: skip
    config = {
        "first_conv": conv(3, 4, 3, 2),
        "blocks": [block],
        "feature_mix": None,
        "classifier": conv(4, 2, 1, 1),
    }
    found = []
    for protocol in (2, 4):
        file = BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(config, protocol))
        found.append({"a.pkl": file.getvalue()})
    return found


def _pt2(folder: Path) -> list[Files]:
    import torch
    from test_files_pt2 import network

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(network(), folder / "a.pt2")
    return [{"a.pt2": (folder / "a.pt2").read_bytes()}]


def _traces(folder: Path) -> list[Files]:
    from traces_plans import planned, session, small_problem

    from mcusim.events import Header
    from mcusim.traces import write_trace

    events = session([planned(small_problem(), resident=["w"], ops=4)] * 3)
    header = Header(model="net", sram_bytes=4096, align=8)
    paths = [write_trace(folder / f"t.{kind}", events, header) for kind in ("parquet", "csv")]
    return [{path.name: path.read_bytes()} for path in paths]


def _journals(folder: Path) -> list[Files]:
    from traces_plans import planned, session, small_problem

    from mcusim.events import Header
    from mcusim.traces import Recorder
    from mcusim.traces.recorder import part_of

    events = session([planned(small_problem(), resident=["w"], ops=4)] * 3)
    recorder = Recorder(folder / "j.csv", Header(model="net", sram_bytes=4096, align=8))
    for step in range(3):
        recorder.write(events[events.step == step], step, 0)
        recorder.position()
    recorder._file.close()
    return [{"j.csv.part": part_of(recorder.path).read_bytes()}]


def _trace(rng: Random, data: bytes) -> bytes:
    """Change a trace, and most of the time put its checksum right again."""
    from mcusim.traces.parquet_format import MARK

    mark = MARK if data[:4] == b"PAR1" else b" sha256 "
    changed = (m.raw if data[:4] == b"PAR1" else m.text)(rng, data)
    return _sealed(changed, mark) if rng.random() < 0.8 else changed


def _sealed(data: bytes, mark: bytes) -> bytes:
    at = data.rfind(mark) + len(mark)
    if at < len(mark) or at + len(BLANK) > len(data):
        return data
    file = BytesIO(data)
    file.seek(at)
    file.write(BLANK.encode())
    seal(file, mark)
    return file.getvalue()


def _use_trace(path: Path) -> None:
    """Read, replay every way, and go through the groups one by one."""
    trace = mcusim.open_trace(path)
    for how in ({}, {"planner": "greedy_by_size"}, {"allocator": "first_fit", "sram": 1 << 16}):
        with suppress(OutOfSram):
            mcusim.replay(trace, **how)


def _use_journal(part: Path) -> None:
    """Resume and finish the recording."""
    from mcusim.traces import Recorder, read_trace

    recorder = Recorder.resume(part.with_name(part.name.removesuffix(".part")))
    try:
        read_trace(recorder.close())
    finally:
        recorder._file.close()


def _problems(folder: Path) -> list[Files]:
    from traces_plans import small_problem

    from mcusim.memory.csv import format_csv

    problem = small_problem()
    roles = "id,lower,upper,size,alignment,role,shrinks\n" + 'b,0,3,40,4,feature,\n"c,2",3,9,4,8,error,5:2\n'
    return [{"p.csv": format_csv(problem).encode()}, {"p.csv": roles.encode()}]


def _measurements(folder: Path) -> list[Files]:
    rows = "name,kind,macs,outputs,cycles,us,mhz,group,wait_states,fetch_bytes\n"
    rows += "".join(
        f"r{i},conv_2d,{i * 1000},{i * 10},{i * 2000},{i * 20},100,g{i % 3},5,16\n" for i in range(1, 8)
    )
    return [{"m.csv": rows.encode()}]


def _tables(kind: str) -> Callable[[Path], list[Files]]:
    place = Path(mcusim.__file__).parent / "mcu" / kind
    files = {f"{i}.toml": path.read_bytes() for i, path in enumerate(sorted(place.glob("*.toml"))[:4])}
    return lambda _: [{name: content} for name, content in files.items()]


def _run_files(folder: Path) -> list[Files]:
    from mcusim.session.experiment import Experiment

    wanted = Experiment(model="synthetic-mbv2", board="nrf52840", data="synthetic", update="last-2")
    wanted.write(folder / "run.toml")
    return [{"run.toml": (folder / "run.toml").read_bytes()}]


def _use_run_file(path: Path) -> None:
    from mcusim.session.experiment import Experiment

    Experiment.from_dict(Experiment.read(path))


def _use_profile(path: Path) -> None:
    from mcusim.mcu.cycles.profile import load_profile

    load_profile(path)


RUN_FILES = ("run.json", "history.csv", "trace.parquet")


def _runs(folder: Path) -> list[Files]:
    from test_session_training import session, tiny_data

    session("last-2").train(tiny_data(6), out=folder / "run")
    return [{name: (folder / "run" / name).read_bytes() for name in RUN_FILES}]


def _run(rng: Random, data: bytes) -> bytes:
    from mcusim.session.run import MARK

    changed = m.json_text(rng, data)
    return _sealed(changed, MARK) if rng.random() < 0.9 else changed


def _use_run(path: Path) -> None:
    from mcusim.reporting.saved import SavedRun
    from mcusim.sections.text import text

    text(SavedRun.open(path.parent).sections())


@cache
def _resumed() -> Callable[..., object]:
    """Return a training of few and small pictures, as a function of its folder."""
    from test_session_training import session, tiny_data

    return partial(session("last-2").train, tiny_data(2))


def _checkpoints(folder: Path) -> list[Files]:
    _resumed()(out=folder / "run")
    return [{"checkpoint.npz": (folder / "run" / "checkpoint.npz").read_bytes()}]


def _checkpoint(rng: Random, data: bytes) -> bytes:
    """Change an entry; the description is the bytes of an array."""
    from mcusim.session.checkpoint import MARK

    if rng.random() < 0.5:
        with zipfile.ZipFile(BytesIO(data)) as old:
            entries = {name: old.read(name) for name in old.namelist()}
        name = next(n for n in entries if n.startswith("meta.json"))
        file = BytesIO()
        np.save(file, np.frombuffer(m.json_text(rng, entries[name][128:]), np.uint8))
        entries[name] = file.getvalue()
        file = BytesIO()
        with zipfile.ZipFile(file, "w") as new:
            for entry, content in entries.items():
                new.writestr(entry, content)
        changed = file.getvalue()
    else:
        changed = m.archive(npy=m.array)(rng, data)
    file = BytesIO(changed)
    with suppress(Exception), zipfile.ZipFile(file, "a") as new:  # it may be no archive any more
        new.comment = MARK + BLANK.encode()
    return _sealed(file.getvalue(), MARK)


def _use_checkpoint(path: Path) -> None:
    _resumed()(out=path.parent, resume=True)


def _arrays(folder: Path) -> list[Files]:
    rng = np.random.default_rng(0)
    file = BytesIO()
    np.savez(file, images=rng.integers(0, 256, (12, 4, 4, 3), np.uint8), labels=np.arange(12) % 3)
    return [{"d.npz": file.getvalue()}]


def _pictures(folder: Path) -> list[Files]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    about = Image.Exif()
    about[0x0112] = 6
    found = []
    for suffix, picture in (
        ("png", Image.fromarray(pixels)),
        ("png", Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)),
        ("jpg", Image.fromarray(pixels)),
        ("bmp", Image.fromarray(pixels)),
        ("ppm", Image.fromarray(pixels)),
    ):
        file = BytesIO()
        more = {"exif": about} if suffix in ("jpg", "png") else {}
        picture.save(file, {"jpg": "jpeg"}.get(suffix, suffix), **more)
        found.append({f"a.{suffix}": file.getvalue()})
    return found


def _picture(rng: Random, data: bytes) -> bytes:
    return (m.png if data[:4] == b"\x89PNG" else m.text if data[:1] == b"P" else m.raw)(rng, data)


def _use_picture(path: Path) -> None:
    from mcusim.data.image_folder import _read

    assert _read(path, (8, 8), False).shape == (8, 8, 3)


def _batches(folder: Path) -> list[Files]:
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 2]}
    return [{"data_batch_1": pickle.dumps(batch, protocol)} for protocol in (2, 4)]


def _use_batch(path: Path) -> None:
    from mcusim.data.cifar10_pickle import read_batch

    read_batch(path.name, path.read_bytes())


def _use_measurements(path: Path) -> None:
    mcusim.read_measurements(path, "cortex-m4")


NETWORK = m.archive(json=m.json_text, npy=m.array)
EVENTS = b"event,id,bytes,time\nalloc,a,100,0\nalloc,b,50,1.5\nfree,a,,2\nalloc,a,80,3\nfree,b,50,4\n"
LOG = b"""boot
[1] traceMALLOC pvAddress=0x20000100 uiSize=64
[2] alloc mem 0x20000140, 24 bytes
[3] free 0x20000100
"""


def _snapshot(suffix: str) -> Callable[[Path], list[Files]]:
    history = [
        {"action": action, "addr": address, "size": 512}
        for action, address in (("alloc", 4096), ("alloc", 8192), ("free_completed", 4096))
    ]
    data = {"segments": [], "device_traces": [history]}
    text = json.dumps(data).encode() if suffix == "json" else pickle.dumps(data, protocol=4)
    return lambda _: [{f"heap.{suffix}": text}]


def _certificate(folder: Path) -> list[Files]:
    from networks import small_network

    path = folder / "proof.json"
    mcusim.prove(small_network(), mcusim.board("nrf52840"), "dynamic:ratio=0.2").save(path)
    return [{"proof.json": path.read_bytes()}]


def _use_certificate(path: Path) -> None:
    found = mcusim.Certificate.read(path)
    found.sections()
    with suppress(BadProof):  # what was changed is read, shown, and not believed
        found.require()


READERS = {
    "npz": Reader(_network, NETWORK, load),
    "tflite": Reader(_tflite, m.raw, load),
    "onnx": Reader(_onnx, m.message(_onnx_message), load),
    "graph json": Reader(_graph, m.json_text, load),
    "pkl": Reader(_pkl, m.archive(), load),
    "pt2": Reader(_pt2, m.archive(json=m.json_text), load),
    "traces": Reader(_traces, _trace, _use_trace),
    "journals": Reader(_journals, m.raw, _use_journal),
    "problems": Reader(_problems, m.text, mcusim.open_trace),
    "measurements": Reader(_measurements, m.text, _use_measurements),
    "boards": Reader(_tables("boards"), m.text, mcusim.board),
    "profiles": Reader(_tables("profiles"), m.text, _use_profile),
    "run files": Reader(_run_files, m.text, _use_run_file),
    "runs": Reader(_runs, _run, _use_run),
    "checkpoints": Reader(_checkpoints, _checkpoint, _use_checkpoint),
    "arrays": Reader(_arrays, m.archive(npy=m.array), mcusim.data.open_data),
    "pictures": Reader(_pictures, _picture, _use_picture),
    "batches": Reader(_batches, m.raw, _use_batch),
    "heap events": Reader(lambda _: [{"heap.csv": EVENTS}], m.text, mcusim.open_trace),
    "heap logs": Reader(lambda _: [{"heap.log": LOG}], m.text, mcusim.open_trace),
    "snapshots": Reader(_snapshot("json"), m.json_text, mcusim.open_trace),
    "snapshot pickles": Reader(_snapshot("pickle"), m.raw, mcusim.open_trace),
    "certificates": Reader(_certificate, m.json_text, _use_certificate),
}
"""Every reader that takes a file from outside, by what the file is."""
