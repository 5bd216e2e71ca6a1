"""Logs of tools, written here for a network whose ops are known, and logs that are wrong."""

from __future__ import annotations

import pytest

import mcusim
from mcusim.core import BadArgument, BadData
from mcusim.explore.op_logs import FUSED, measurements_of, read_log
from mcusim.graph.traits import Family
from mcusim.lowering.work import forward_work

ABOUT = {"name": "x", "core": "cortex-m4", "library": "TFLM", "version": "1"}


@pytest.fixture(scope="module")
def network():
    return mcusim.load("synthetic-mbv2")


def costs(network):
    """Return (kind, cycles) of all ops that are no views: cycles as a core twice as slow would take."""
    works = [(op, forward_work(op, network.tensors)) for op in network.ops]
    return [
        (str(op.kind), round(5 * w.macs + 60 * w.outputs + 900))
        for op, w in works
        if op.traits.family is not Family.VIEW
    ]


def took(rows):
    return "".join(f"{kind.upper()} took {cycles} ticks ({cycles // 1000} ms).\n" for kind, cycles in rows)


def as_csv(rows):
    lines = [f"{i},{kind.upper()},{cycles}" for i, (kind, cycles) in enumerate(rows)]
    return '"Event","Tag","Ticks"\n' + "\n".join(lines) + "\n"


def etdump(rows):
    head = "event_block_name,event_name,p10 (ms),p50 (ms),p90 (ms),avg (ms),min (ms),max (ms)\n"
    body = "".join(f"Execute,{kind},,{c / 1e5},,{c / 1e5},,\n" for kind, c in rows)
    return head + body + "Execute,Method::execute,,9,,9,,\n"


def validation(rows):
    head = "c_id  m_id  desc             output           ms      %\n---\n"
    return head + "".join(
        f"{i}     {i}     {kind} (0x103)     (1,1,1,1)/8   {c / 1e5:.5f}   1.0%\n"
        for i, (kind, c) in enumerate(rows)
    )


def counted(rows):
    return "boot\n" + "".join(f"[{i}] {kind}: {cycles} cycles\n" for i, (kind, cycles) in enumerate(rows))


@pytest.mark.parametrize(
    ("write", "mhz"), [(took, None), (as_csv, None), (etdump, 100.0), (validation, 100.0), (counted, None)]
)
def test_every_kind_of_log_is_matched_and_fitted(write, mhz, network, tmp_path):
    rows = costs(network)
    path = tmp_path / "log.txt"
    path.write_text(write(rows))
    found = measurements_of(path, network, "cortex-m4", mhz=mhz)
    assert [m.cycles for m in found] == pytest.approx([c for _, c in rows], rel=2e-3)
    works = [forward_work(op, network.tensors) for op in network.ops if op.traits.family is not Family.VIEW]
    assert [m.works[0] for m in found] == works
    fitted = mcusim.calibrate(path, **ABOUT, model=network, mhz=mhz)
    assert fitted.profile.fitted.mean_error < 0.2
    assert str(fitted.profile.fitted.rows) in str(fitted)
    assert "modelled" in str(fitted)


def test_what_compilers_merge_may_be_missing(network, tmp_path):
    rows = [row for row in costs(network) if row[0] not in FUSED]
    path = tmp_path / "log.txt"
    path.write_text(counted(rows))
    assert len(measurements_of(path, network, "cortex-m4")) == len(rows)


def test_a_log_of_another_network_is_refused_where_they_part(network, tmp_path):
    rows = costs(network)
    path = tmp_path / "log.txt"
    path.write_text(counted([*rows[:2], ("max_pool_2d", 900), *rows[3:]]))
    with pytest.raises(BadData, match=r"op 2 is max_pool_2d where the network has .*: they part there"):
        measurements_of(path, network, "cortex-m4")
    path.write_text(counted(rows[:3]))
    with pytest.raises(BadData, match=r"ends after 3 ops, and the network goes on with"):
        measurements_of(path, network, "cortex-m4")
    path.write_text(counted([*rows, rows[0]]))
    with pytest.raises(BadData, match="the network ends"):
        measurements_of(path, network, "cortex-m4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing here", "holds no times of ops; tried"),
        ("conv_2d: -5 cycles\n", "took -5"),
        ("conv_2d: 0 cycles\n", "took 0"),
        ('"Event","Tag","Ticks"\n0,CONV_2D,many\n', "'many' is no number"),
    ],
)
def test_logs_that_are_none_and_times_that_are_none(text, message, tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(text)
    with pytest.raises(BadData, match=message):
        read_log(path)
    with pytest.raises(BadData, match="cannot be read"):
        read_log(tmp_path / "absent.txt")


def test_units_that_are_missing_unknown_or_mixed_up_are_named(network, tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(etdump(costs(network)))
    with pytest.raises(BadArgument, match=r"is in ms.*mhz="):
        measurements_of(path, network, "cortex-m4")
    with pytest.raises(BadArgument, match="unit fortnights"):
        measurements_of(path, network, "cortex-m4", unit="fortnights")
    path.write_text(took(costs(network)))
    with pytest.raises(BadData, match=r"times the cycles of cortex-m4.*units mixed up by 1,000"):
        mcusim.calibrate(path, **ABOUT, model=network, mhz=100.0, unit="ms")
