"""Vector types for numba code, and how their operations are emitted.

LLVM does not vectorise these kernels well by itself, so they say what they mean: ``i32`` and ``f32`` are
vectors of 16 lanes that live in registers, addresses are plain integers. LLVM splits them into what the
machine has (one AVX-512 register, two AVX2, four NEON). No operation here is fused or reordered: a float
result is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

LANES = 16
BYTE, SHORT, WORD, LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOAT = ir.FloatType()
I8, I16, I32, I64 = (ir.VectorType(ir.IntType(bits), LANES) for bits in (8, 16, 32, 64))
F32, BIT = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(1), LANES)


class Vector(types.Type):  # type: ignore[misc]
    """The numba type of a vector of 16 lanes."""

    def __init__(self, name: str, llvm: ir.VectorType) -> None:
        self.llvm = llvm
        super().__init__(name=f"mcusim.{name}")


i32, f32 = Vector("i32x16", I32), Vector("f32x16", F32)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


def constant(kind: ir.VectorType, value: float) -> ir.Constant:
    """Return a vector with the same constant in all lanes."""
    return ir.Constant(kind, [value] * kind.count)


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """Return an address as a pointer to an LLVM type."""
    return builder.inttoptr(address, kind.as_pointer())


def load(builder: Any, address: Any, kind: Any) -> Any:
    """Emit an unaligned load."""
    value = builder.load(pointer(builder, address, kind))
    value.align = 1
    return value


def store(builder: Any, value: Any, address: Any) -> None:
    """Emit an unaligned store."""
    builder.store(value, pointer(builder, address, value.type)).align = 1


def splat(builder: Any, scalar: Any, count: int = LANES) -> Any:
    """Emit a broadcast of a scalar to all lanes."""
    kind = ir.VectorType(scalar.type, count)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, WORD(0))
    return builder.shuffle_vector(
        single, ir.Constant(kind, ir.Undefined), constant(ir.VectorType(WORD, count), 0)
    )


def call(builder: Any, name: str, result: Any, *args: Any) -> Any:
    """Emit a call of an LLVM intrinsic."""
    kind = ir.FunctionType(result, [a.type for a in args])
    found = builder.module.globals.get(name)
    return builder.call(found if found is not None else ir.Function(builder.module, kind, name), args)


def emitted(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Turn ``body(builder, *values)``, which emits LLVM code, into a function that numba code can call."""

    def decorate(body: Callable[..., Any]) -> Any:
        def typing(context: Any, *given: Any) -> Any:
            def generate(target: Any, builder: Any, sig: Any, values: tuple[Any, ...]) -> Any:
                out = body(builder, *values)
                return target.get_dummy_value() if result is types.none else out

            return result(*arguments), generate

        names = ("context", *(f"a{i}" for i in range(len(arguments))))
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        typing.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        typing.__name__, typing.__doc__, typing.__module__ = body.__name__, body.__doc__, body.__module__
        return intrinsic(typing)

    return decorate


def features() -> str:
    """Return the CPU features that code is compiled for."""
    return str(cpu_target.target_context.codegen().magic_tuple()[2])


def dot2(b: Any, x: Any, w: Any) -> Any:
    """Emit the sum of two products of int16 in each lane; LLVM knows this as ``pmaddwd`` or ``smlal``."""
    wide = ir.VectorType(WORD, 32)
    products = b.mul(b.sext(x, wide), b.sext(w, wide))
    even, odd = (
        b.shuffle_vector(products, ir.Constant(wide, ir.Undefined), ir.Constant(I32, list(range(i, 32, 2))))
        for i in range(2)
    )
    return b.add(even, odd)
