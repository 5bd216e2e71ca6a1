"""Instructions by class: of code whose instructions are known, as an assembler writes them."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from mcusim.emulation.compilers import zig
from mcusim.emulation.cores import core_named
from mcusim.emulation.instructions import CLASSES, classified

THUMB = {
    "load": """
        ldr r0, [r1, #4]; ldrb r0, [r1, r2]; ldrsh r0, [r1, r2]; ldr r0, [sp, #8]; pop {r4, pc}
        ldm r0!, {r1, r2}; ldr.w r8, [r9, #400]; ldrsb.w r8, [r9], #1; ldrd r0, r1, [r2, #8]
        ldmia.w r8!, {r0, r9}; vldr s0, [r1]; vpop {s16}; ldrh r3, [r4, #2]; ldrsh.w r8, [r9, r10, lsl #1]""",
    "store": """
        str r0, [r1, #4]; strb r0, [r1, r2]; strh r0, [r1, #2]; str r0, [sp, #8]; push {r4, lr}
        stm r0!, {r1, r2}; str.w r8, [r9, #400]; strb.w r8, [r9], #1; strd r0, r1, [r2, #8]; vstr s0, [r1]
        vpush {s16}""",
    "multiply": """
        muls r0, r1, r0; mla r0, r1, r2, r3; smull r0, r1, r2, r3; smlad r0, r1, r2, r3; smlabb r0, r1, r2, r3
        umull r8, r9, r2, r3; umlal r8, r9, r2, r3; mls r0, r1, r2, r3""",
    "divide": "sdiv r0, r1, r2; udiv r8, r9, r10",
    "branch": "b 1f; 1: beq 1b; bl 1b; blx r3; bx lr; cbz r0, 2f; nop; 2: beq.w 1b; b.w 1b; tbb [pc, r1]",
    "float": """
        vadd.f32 s0, s1, s2; vmul.f32 s0, s1, s2; vcvt.s32.f32 s0, s1; vmov r0, s1; vmov s1, r0
        vcmp.f32 s0, s1; vmrs APSR_nzcv, fpscr; vmov r0, r1, s2, s3; vneg.f32 s0, s1""",
    "float_divide": "vdiv.f32 s0, s1, s2; vsqrt.f32 s3, s4",
    "other": """
        adds r0, r1, r2; lsls r0, r1, #3; cmp r0, #4; add.w r8, r9, r10; movw r0, #1234; sxtb r0, r1
        sxtb16 r0, r1; add sp, #16; ite eq; moveq r0, #1; movne r0, #2; ubfx r0, r1, #2, #3; ssat r0, #8, r1
        pkhbt r0, r1, r2; clz r0, r1; adr r0, 3f; .balign 4; 3: dmb; rev r0, r1; tst r0, r1
        bic.w r0, r1, #4""",
}
RISCV = {
    "load": "lw a0, 4(a1); lbu a0, 0(a1); flw fa0, 0(a1); lw a0, 8(sp); lh t3, 6(t4)",
    "store": "sw a0, 4(a1); sb a0, 0(a1); fsw fa0, 0(a1); sw a0, 8(sp); fsw fa0, 8(sp)",
    "multiply": "mul a0, a1, a2; mulh a0, a1, a2",
    "divide": "div a0, a1, a2; rem t0, t1, t2; divu a0, a1, a2",
    "branch": "1: beqz a0, 1b; bne t3, t4, 1b; j 1b; jal ra, 1b; jr a0; jalr ra, 64(a0); ret",
    "float": "fadd.s fa0, fa1, fa2; fmul.s fa0, fa1, fa2; fcvt.w.s a0, fa0, rtz; fmv.x.w a0, fa0",
    "float_divide": "fdiv.s fa0, fa1, fa2; fsqrt.s fa0, fa1",
    "other": "add a0, a1, a2; addi sp, sp, -16; slli a0, a0, 3; lui a0, 12; mv a0, a1; addi a0, sp, 8",
}


def assembled(text: str, core: str, folder) -> np.ndarray:
    from elftools.elf.elffile import ELFFile

    source, out = folder / "one.S", folder / "one.o"
    own = core_named(core)
    source.write_text(text.replace(";", "\n") + "\n", "utf-8")
    command = [*zig(), "-target", own.target, f"-mcpu={own.cpu}", "-c", str(source), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    with out.open("rb") as file:
        return np.frombuffer(ELFFile(file).get_section_by_name(".text").data(), np.uint8)


@pytest.mark.parametrize(("core", "known"), [("cortex-m4", THUMB), ("rv32imfc", RISCV)])
def test_every_class_of_instructions_is_told_apart(core, known, tmp_path):
    assert {*known} == {*CLASSES}
    head = "" if core == "rv32imfc" else ".syntax unified; .thumb;"
    nops = {"branch": 1} if head else {}
    for name, text in known.items():
        code = assembled(head + text, core, tmp_path)
        counts = dict(zip(CLASSES, classified(code, 0, len(code), riscv=not head), strict=True))
        words = [w for w in text.replace("\n", ";").split(";") if w.strip() and "." not in w.split()[0][:1]]
        expected = {name: len(words) - nops.get(name, 0), "other": nops.get(name, 0)}
        if name == "other":
            expected = {"other": counts["other"]}
            assert counts["other"] >= len(words)
        assert {n: c for n, c in counts.items() if c} == {n: c for n, c in expected.items() if c}, name
