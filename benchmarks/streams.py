"""What is forgotten, and what a buffer of examples costs: ``python benchmarks/streams.py [--only NAME]``.

Two streams of one pass, three seeds: ten spoken digits from six speakers, one after the other, on the MLPerf
Tiny keyword network (nRF52840); and CIFAR-10 in five tasks of two new classes, 1,000 examples each, on
MobileNetV2-w0.35 at 64 pixels (nRF52840). Needs the files behind MCUSIM_DATA. Rows that ``streams.csv`` has
already are not run again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import mcusim
from mcusim.core.files import replacing
from mcusim.session.experiment import Experiment
from mcusim.studies.stream import tasks_of

HERE = Path(__file__).parent
COMMON: dict[str, Any] = {
    "formats": {"weight": "int8+res8", "bias": "int32+res8", "error": "int16"},
    "training": {"schedule": "constant", "trace": "off"},
}


@dataclass(frozen=True)
class Stream:
    """One stream: its experiment, how its data are divided, and the buffers it is tried with."""

    experiment: dict[str, Any]
    by: str
    buffers: tuple[str | None, ...]


STREAMS = {
    "digits-by-speaker": Stream(
        {
            "model": "mlperftiny_kws_ref_model", "classes": 10, "board": "nrf52840", "data": "spoken-digits",
            "front_end": "mfcc:rate=8000", "update": "dense", "sgd": {"lr": 0.005},
        },
        "group",
        (None, "raw:20,policy=balanced", "raw:100,policy=balanced", "raw:100,policy=fifo"),
    ),
    "cifar10-by-class": Stream(
        {
            "model": "mbv2-w0.35", "classes": 10, "resolution": 64, "board": "nrf52840", "data": "cifar10",
            "update": "dynamic:ratio=0.1,stage=200", "residency": "flash", "sgd": {"lr": 0.003},
            "training": {**COMMON["training"], "limit": 1000},
        },
        "class",
        (None, "latent:100,policy=balanced,place=flash", "latent:100,policy=fifo,place=flash"),
    ),
}  # fmt: skip


def rows(name: str, done: set[tuple[str, str, str]]) -> Iterator[dict[str, Any]]:
    """Yield what each buffer and seed of a stream gave."""
    wanted = STREAMS[name]
    for buffer in wanted.buffers:
        for seed in range(3):
            if (name, (buffer or "none").replace(",", ";"), str(seed)) in done:
                continue
            experiment = Experiment.from_dict(
                {**COMMON, **wanted.experiment, "seed": seed, **({"replay": buffer} if buffer else {})}
            )
            network = experiment.network()
            tasks = tasks_of(experiment, network.model, by=wanted.by)
            found = mcusim.stream(experiment.session(network), tasks, recipe=experiment.training).as_dict()
            keys = ("average", "forgetting", "backward_transfer", "forward_transfer", "steps", "replayed",
                    "stored", "replay_bytes", "peak_bytes")  # fmt: skip
            yield {
                "stream": name, "replay": buffer or "none", "seed": seed, **{k: found[k] for k in keys},
                **{k: "" if v is None else v for k, v in found["wear"].items()},
            }  # fmt: skip


def main() -> None:
    """Run what is missing and print means over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=STREAMS)
    parser.add_argument("--out", type=Path, default=HERE / "streams.csv")
    arguments = parser.parse_args()
    known: list[dict[str, Any]] = []
    if arguments.out.exists():
        with arguments.out.open(newline="") as file:
            known = list(csv.DictReader(file))
    for name in [arguments.only] if arguments.only else STREAMS:
        for row in rows(name, {(r["stream"], r["replay"], r["seed"]) for r in known}):
            known.append({k: f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in row.items()})
            with replacing(arguments.out) as file:
                lines = [
                    ",".join(row),
                    *(",".join(r.get(k, "").replace(",", ";") for k in row) for r in known),
                ]
                file.write("\n".join(lines).encode() + b"\n")
    print(
        "| stream | buffer | average | forgetting | buffer, B | peak SRAM, B | erased |\n"
        "|---|---|---:|---:|---:|---:|---:|"
    )
    for name, buffer in dict.fromkeys((r["stream"], r["replay"]) for r in known):
        mine = [r for r in known if (r["stream"], r["replay"]) == (name, buffer)]
        shown = []
        for key in ("average", "forgetting"):
            values = [100 * float(r[key]) for r in mine]
            shown.append(f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else ""))
        sizes = [f"{int(mine[0][key]):,}" for key in ("replay_bytes", "peak_bytes")]
        print(f"| {name} | {buffer} | {' | '.join([*shown, *sizes, mine[0].get('erased', '')])} |")


if __name__ == "__main__":
    main()
