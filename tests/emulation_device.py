"""A firmware on an emulated core whose memory and flash a test changes, reads, and takes the supply from."""

from __future__ import annotations

import struct

from mcusim.deployment.model_files import arena_bytes
from mcusim.deployment.tables import tables
from mcusim.emulation.cores import core_named
from mcusim.emulation.toolchain import build
from mcusim.emulation.unicorn_machine import UnicornMachine

LEARN, SAVE, LOAD = 0, 4, 5
FOREVER = 1 << 30
RATES, RESULT, SUPPLY = 12, 76, 148
"""Places in the box of the twin's main."""


class Device:
    """A firmware that has begun."""

    def __init__(self, session, folder):
        self.session, self.plan = session, session.plan()
        self.made = made = tables(self.plan, session.scheme)
        core, size = core_named("cortex-m4"), arena_bytes(self.plan)
        path = session.firmware(folder).folder
        self.machine = UnicornMachine(build(path, made.prefix, core, size), core, size)
        self.machine.run()
        self.start = self.machine.arena
        self.size = self.machine.objects["twin_flash"]

    def command(self, number, supply=FOREVER, rate=0.05):
        """Run a command; return its result and how many operations of flash it took."""
        box = self.machine.symbols["twin_box"]
        self.machine.write(box, struct.pack("<III", number, 0, 0))
        self.machine.write(box + RATES, struct.pack("<16f", *[rate] * 16))
        self.machine.write(box + RESULT, struct.pack("<II", 99, 0))
        self.machine.write(box + SUPPLY, struct.pack("<I", supply))
        self.machine.run()
        return struct.unpack("<II", self.machine.read(box + RESULT, 8))

    def read(self, name):
        """Return the bytes of a variable."""
        return self.machine.read(self.machine.symbols[name], self.machine.objects[name])

    def write(self, name, data):
        """Write them."""
        self.machine.write(self.machine.symbols[name], data)

    @property
    def arena(self):
        return self.machine.read(self.start, self.machine.arena_bytes)

    @arena.setter
    def arena(self, data):
        self.machine.write(self.start, data)

    @property
    def flash(self):
        return self.read("twin_flash")

    @flash.setter
    def flash(self, data):
        self.write("twin_flash", data)
