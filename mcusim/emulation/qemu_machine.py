"""A program on a machine of QEMU, which is talked to as a debugger does."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from mcusim.core import BadArgument, BadRun
from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.target_machine import TargetMachine

QEMU = "qemu-system-arm"
PIECE = 1024
"""Bytes of memory in one packet; QEMU takes packets of 4096 characters."""
START_SECONDS, STOP_SECONDS = 20, 600
LR, PC = 14, 15


@cache
def qemu() -> str:
    """Return name and version.

    Raises:
        BadRun: if it is not installed.
    """
    if shutil.which(QEMU) is None:
        raise BadRun(
            f"emulator {QEMU}",
            "is not installed",
            f"install it (Debian: apt install {QEMU}), or leave out emulator",
        )
    done = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return f"qemu {words[3]}" if len(words) > 3 else QEMU


class QemuMachine(TargetMachine):
    """Memory and core of QEMU. It counts no instructions, and memory around the arena is there, but watched.

    Raises:
        BadRun: if QEMU is not installed, or does not start.
        BadArgument: if the program does not fit the memory of its machine.
    """

    def __init__(self, elf: Path, core: EmulatedCore, arena_bytes: int, ops: Sequence[str] = ()) -> None:
        qemu()
        assert core.memory is not None  # see emulator_for
        super().__init__(elf, core, arena_bytes, ops)
        if self.symbols["twin_end"] > self._front:
            have, room = self.symbols["twin_end"] - core.memory.box, self._front - core.memory.box
            raise BadArgument(
                f"firmware for {core.machine}", f"needs {have:,} B for checkpoints and input of {room:,}",
                "leave out emulator",
            )  # fmt: skip
        self._folder = TemporaryDirectory()
        where = Path(self._folder.name) / "gdb"
        self._process = subprocess.Popen(
            [QEMU, "-M", core.machine, "-nodefaults", "-display", "none", "-S",
             "-gdb", f"unix:{where},server=on,wait=off", "-kernel", str(elf)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(STOP_SECONDS)
        self._pending = b""
        self._call: Callable[[int], None] | None = None
        try:
            self._connect(where)
            self._ask("qXfer:features:read:target.xml:0,fff")  # only who asked may write a register
            self._paint()
            for name in ("twin_wait", "mcusim_after_op"):
                if name in self.symbols:
                    self._ask(f"Z0,{self.symbols[name]:x},2")
        except BaseException:
            self.close()
            raise

    def after_op(self, call: Callable[[int], None]) -> None:
        """Have ``call(op)`` called after every op of a step; what it raises ends the run."""
        self._call = call

    def run(self) -> None:
        """Run until the device waits for the next command.

        Raises:
            BadRun: if it faults, or does not stop.
        """
        while True:
            self._ask("c")
            registers = self._registers()
            # Both places are functions that do nothing: go on behind the call.
            self._ask(f"P{PC:x}={(registers[LR] & ~1).to_bytes(4, 'little').hex()}")
            if registers[PC] == self.symbols["twin_wait"]:
                return
            if registers[PC] != self.symbols["mcusim_after_op"]:
                raise self._failed("stopped where it should not", registers)
            self._op = registers[1] + 1
            if self._call is not None:
                self._call(registers[1])

    def read(self, address: int, count: int) -> bytes:
        """Return memory."""
        pieces = [
            bytes.fromhex(self._ask(f"m{at:x},{min(PIECE, address + count - at):x}"))
            for at in range(address, address + count, PIECE)
        ]
        return b"".join(pieces)

    def write(self, address: int, data: bytes) -> None:
        """Write memory."""
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            self._ask(f"M{address + at:x},{len(piece):x}:{piece.hex()}")

    def close(self) -> None:
        """End QEMU."""
        self._socket.close()
        self._process.kill()
        with self._process:
            self._folder.cleanup()

    def _connect(self, where: Path) -> None:
        until = monotonic() + START_SECONDS
        while True:
            with suppress(OSError):
                self._socket.connect(str(where))
                return
            if self._process.poll() is not None or monotonic() > until:
                raise BadRun(QEMU, f"does not start: {self._last_words()}")
            sleep(0.01)

    def _ask(self, question: str) -> str:
        """Send a packet of GDB's remote protocol and return the answer to it."""
        text = question.encode()
        try:
            self._socket.sendall(b"$" + text + b"#%02x" % (sum(text) & 0xFF))
            answer = self._packet()
            self._socket.sendall(b"+")
        except OSError as error:
            raise BadRun(f"firmware on {self.core.name}", f"{QEMU} ended: {self._last_words()}") from error
        if not answer or answer.startswith("E"):
            said = f"{QEMU} answers {answer or 'nothing'} to {question[:40]}"
            raise BadRun(f"firmware on {self.core.name}", said)
        return answer

    def _packet(self) -> str:
        while True:
            start = self._pending.find(b"$")
            end = self._pending.find(b"#", start)
            if 0 <= start < end and len(self._pending) >= end + 3:
                found, self._pending = self._pending[start + 1 : end], self._pending[end + 3 :]
                return found.decode()
            more = self._socket.recv(1 << 16)
            if not more:
                raise ConnectionError("no more is said")
            self._pending += more

    def _registers(self) -> list[int]:
        data = bytes.fromhex(self._ask("g")[: 16 * 8])
        return [int.from_bytes(data[4 * i : 4 * i + 4], "little") for i in range(16)]

    def _failed(self, reason: str, registers: list[int]) -> BadRun:
        named = {f"r{i}": registers[i] for i in range(4)} | {"lr": registers[LR], "sp": registers[13]}
        return self._fault(reason, registers[PC], named)

    def _last_words(self) -> str:
        self._process.kill()
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return said[0] if said else "it said nothing"
