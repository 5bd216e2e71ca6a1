"""Compiles kernels for another processor: ``kernels_elsewhere.py FOLDER TRIPLE CPU FEATURES KERNEL...``.

A kernel is a dotted name, and a colon with types where it takes more than a record:
``module.name:int64,float64``. Writes the assembly and the object code of each, and says under which name each
kernel is found.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import llvmlite.binding as llvm
from numba import types
from numba.core.codegen import JITCPUCodegen

from mcusim.core.jit import njit
from mcusim.kernels.compiled import compiler


class Captured(Exception):
    """A kernel is ready to be optimised; numba is not to go on for this processor."""


def main(folder: Path, triple: str, cpu: str, features: str, *names: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    JITCPUCodegen.magic_tuple = lambda self: (triple, cpu, features)
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3)

    def capture(library: compiler._WholeLibrary) -> None:
        raise Captured(str(library._final_module))

    compiler._WholeLibrary._optimize_final_module = capture
    # What numba counts references with is there for this processor only; kernels make nothing to count.
    options = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiler._part = njit(**options, pipeline_class=compiler._PartCompiler, _nrt=False)
    for path in names:
        path, _, arguments = path.partition(":")
        module, name = path.rsplit(".", 1)
        kernel = njit(
            getattr(import_module(module), name).py_func, **options, pipeline_class=compiler._Compiler,
            _nrt=False,
        )  # fmt: skip
        try:
            kernel.compile(tuple(getattr(types, each) for each in (arguments or "int64").split(",")))
        except Captured as captured:
            code = llvm.parse_assembly(str(captured))
        code.triple, code.data_layout = triple, str(machine.target_data)
        tuning = llvm.create_pipeline_tuning_options(speed_level=3)
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(code, builder)
        (folder / f"{name}.s").write_text(machine.emit_assembly(code))
        (folder / f"{name}.o").write_bytes(machine.emit_object(code))
        own = [f.name for f in code.functions if not f.is_declaration and f.linkage is llvm.Linkage.external]
        print(name, *own, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
