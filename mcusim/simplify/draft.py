"""A network that is being rewritten."""

from __future__ import annotations

from dataclasses import replace

from mcusim.core.frozen import FrozenDict
from mcusim.graph import Model, Op, Tensor


class NetworkDraft:
    """Ops and tensors that can be taken out and put together.

    Attributes:
        ops: in execution order.
        tensors: by name; those that nothing names any more are dropped at the end.
        inputs: names of the input tensors.
        outputs: names of the output tensors, and of what a state was and becomes; they never change.
        origin: for every op the names of the ops of the original network that it stands for.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.ops = list(model.ops)
        self.tensors: dict[str, Tensor] = dict(model.tensors)
        states = [name for state in model.states for name in (state.name, state.after, state.initial)]
        self.inputs, self.outputs = model.inputs, (*model.outputs, *states)
        self.origin: dict[str, tuple[str, ...]] = {op.name: (op.name,) for op in model.ops}
        self.arithmetic, self.head = model.arithmetic, model.head

    def readers(self, tensor: str) -> list[Op]:
        """Return the ops that read a tensor, in order."""
        return [op for op in self.ops if tensor in op.inputs]

    def producer(self, tensor: str) -> Op | None:
        """Return the op that writes a tensor; ``None`` for inputs and constants."""
        return next((op for op in self.ops if op.output == tensor), None)

    def only_reader(self, tensor: str) -> Op | None:
        """Return the op that alone reads a tensor, once, where no output of the network is lost with it."""
        readers = self.readers(tensor)
        if len(readers) != 1 or tensor in self.outputs or readers[0].inputs.count(tensor) != 1:
            return None
        return readers[0]

    def put(self, old: Op, new: Op, absorbed: Op | None = None) -> None:
        """Put ``new`` in the place of ``old``; it also stands for ``absorbed``, which may stay for others."""
        self.ops[self.ops.index(old)] = new
        more = () if absorbed is None else self.origin[absorbed.name]
        names = {*self.origin.pop(old.name), *more}
        self.origin[new.name] = tuple(op.name for op in self._model.ops if op.name in names)

    def remove(self, op: Op) -> None:
        """Take an op out."""
        self.ops.remove(op)
        del self.origin[op.name]

    def rename(self, old: str, new: str) -> None:
        """Let all ops read and write ``new`` in the place of tensor ``old``."""
        for index, op in enumerate(self.ops):
            if old in op.inputs or op.output == old:
                inputs = tuple(new if name == old else name for name in op.inputs)
                self.ops[index] = replace(op, inputs=inputs, output=new if op.output == old else op.output)

    def drop_unread(self) -> bool:
        """Take out ops whose outputs nobody needs; return True if there were any."""
        read = {name for op in self.ops for name in op.inputs} | set(self.outputs)
        dead = [op for op in self.ops if op.output not in read]
        for op in dead:
            self.remove(op)
        return bool(dead)

    def model(self) -> Model:
        """Return the network as it is now."""
        named = {*self.inputs, *self.outputs, *(n for op in self.ops for n in (*op.inputs, op.output))}
        tensors = {name: tensor for name, tensor in self.tensors.items() if name in named}
        places = FrozenDict({op.name: self._model.place(op.name) for op in self.ops})
        return replace(self._model, ops=tuple(self.ops), tensors=tensors, inputs=self.inputs, places=places)
