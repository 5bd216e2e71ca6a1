"""A network, a board, data and every choice about them, as one value: what a run file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mcusim.core import BadArgument
from mcusim.core.files import replacing
from mcusim.core.setting import setting
from mcusim.core.toml_file import read_toml
from mcusim.core.toml_text import toml
from mcusim.graph import Arithmetic, Model
from mcusim.planning.duty import Duty
from mcusim.planning.recipe import Recipe
from mcusim.planning.search_space import SearchSpace
from mcusim.planning.settings import AUTO, Settings
from mcusim.sections.kinds import Notes, Section
from mcusim.update.formats import HEADS

if TYPE_CHECKING:
    from mcusim.data.dataset import Dataset
    from mcusim.mcu.board import Board
    from mcusim.session.session import Session

FILE = "run.toml"
"""Name of the run file in the folder of a run."""
OTHERS = "tool"
"""Table of a run file that other programs may use, each under its own name; never read here."""


class Network(NamedTuple):
    """A network as it was loaded, what was said to it, and the settings of a session with it."""

    model: Model
    settings: Settings
    note: str
    """What replaced the head that the file has; empty if the network is that of the file."""

    def sections(self) -> list[Section]:
        """Return what must be said before anything else: that the head is another one."""
        return [Notes([self.note])] if self.note else []

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data for JSON; ``None``: the network is that of the file."""
        return {"fresh_head": self.note or None}


def check_head(data: Mapping[str, Any], thing: str) -> None:
    """Refuse a format of the head among those of the settings: it is that of the network.

    Args:
        data: what a person wrote, table in table.
        thing: where.

    Raises:
        BadArgument: if one is there.
    """
    formats = data.get("formats")
    if isinstance(formats, Mapping) and "head" in formats:
        raise BadArgument(
            f"{thing}: formats.head", "is that of the network", "write head = … above all tables"
        )


@dataclass(frozen=True, slots=True)
class Experiment(Settings):
    """The settings of a session, what it is a session of, and what the verbs do with it."""

    note: str = setting("", "a line for people", derived=True)
    model: str | None = setting(
        None, "network, by name (see mcusim models) or file", flags=("--model", "-m"), example="mbv2-w0.35"
    )
    classes: int | None = setting(
        None, "give the network a fresh head for so many classes; its own head if not given", least=1
    )
    head: str | None = setting(
        None, "give the network a fresh head in this format", values=lambda: HEADS, label="head format"
    )
    resolution: int | None = setting(
        None, "side of the images, if not the one the network was made for", unit="pixels", least=1
    )
    pixels: int | None = setting(
        None, "side of pictures as they arrive; the first op enlarges them, in a patch stage patch by patch",
        unit="pixels", least=1,
    )  # fmt: skip
    """A small camera needs no large input in SRAM; see `mcusim.graph.enlarging`."""
    adapters: int | None = setting(
        None, "set low-rank adapters of this rank beside the projections of the last seven blocks", least=1
    )
    """Channels between the two convolutions of each; see `mcusim.add_adapters`."""
    arithmetic: str | None = setting(
        None,
        "how accumulators are rescaled, if not as the file's origin does",
        values=lambda: tuple(Arithmetic),
    )
    strict: bool = setting(False, "refuse a network whose 32-bit accumulators can overflow for some input")
    board: str | None = setting(
        None, "board, by name (see mcusim boards) or TOML file", flags=("--board", "-b"), example="stm32f746"
    )
    data: str = setting(
        "cifar10",
        "data set: a name (cifar10, synthetic, kws-1000), a folder (pictures, sounds) or a file (npz, csv)",
    )
    training: Recipe = setting(Recipe, "how long and on what it trains")
    timeline: Duty = setting(Duty, "what the device does all day", terse=True)
    search: SearchSpace = setting(SearchSpace, "what a search may choose from", terse=True)

    @classmethod
    def read(cls, path: Path) -> dict[str, Any]:
        """Return the plain data of a run file, for ``from_dict``.

        Raises:
            BadArgument: if it cannot be read, or is not TOML.
        """
        data = read_toml(path, BadArgument, f"run file {path}")
        data.pop(OTHERS, None)
        check_head(data, f"run file {path}")
        return data

    def write(self, path: Path) -> None:
        """Write a run file that gives this experiment again.

        Raises:
            SaveFailed: if it cannot be written.
        """
        data = self.as_dict()
        del data["formats"]["head"]
        shared = {item.name for item in fields(Settings)}
        data = dict(sorted(data.items(), key=lambda item: item[0] in shared))  # network and board first
        with replacing(path) as file:
            file.write(toml(data).encode())

    @property
    def settings(self) -> Settings:
        """The settings of the session."""
        return Settings(**{item.name: getattr(self, item.name) for item in fields(Settings)})

    def network(self) -> Network:
        """Return the network: that of the file, with a fresh head or adapters only if they are asked for.

        The head it came with stays if it has as many outputs as ``classes`` says and no format is asked for.
        """
        found = self._headed()
        if self.adapters is None:
            return found
        from mcusim.update.adapters import add_adapters

        return found._replace(model=add_adapters(found.model, self.adapters, seed=self.seed))

    def _headed(self) -> Network:
        from mcusim.files.load import load
        from mcusim.graph.head import replace_head

        model = load(
            self._given("model"), arithmetic=self.arithmetic, resolution=self.resolution, pixels=self.pixels,
            strict=self.strict,
        )  # fmt: skip
        learns = self.part(model)
        keeps = self.classes is None or (self.classes == learns.classes and learns.head is not None)
        if keeps and self.head is None:
            return Network(model, self.settings, "")
        model, settings = learns, replace(self.settings, output=AUTO)
        count, format = self.classes or model.classes, self.head or "float32"
        fresh = replace_head(model, count, format=format, seed=self.seed)  # type: ignore[arg-type]
        note = f"{model.name} with a fresh {format} head of {count:,} outputs; its own has {model.classes:,}"
        return Network(fresh, settings, note)

    def target(self) -> Board:
        """Return the board."""
        from mcusim.mcu.board_files import board

        return board(self._given("board"))

    def session(self, network: Network | None = None) -> Session:
        """Return the session of the network, or of one that was loaded before.

        Raises:
            BadArgument: if no network or board is named, or as ``Session`` does.
        """
        from mcusim.session.session import Session

        network = network or self.network()
        return Session(network.model, self.target(), settings=network.settings)

    def dataset(self, model: Model) -> Dataset:
        """Return the data, folders of pictures scaled to what a network takes, sounds through a front end."""
        data = self.recorded(model)
        if self.front_end is None:
            return data
        from mcusim.data.front_end import FrontEnd

        return FrontEnd.read(self.front_end).apply(data)

    def recorded(self, model: Model) -> Dataset:
        """Return the data, of sounds the samples."""
        from mcusim.data.named import open_for

        return open_for(model, self.data)

    def _given(self, name: str) -> str:
        value: str | None = getattr(self, name)
        if value is None:
            raise BadArgument(f"no {name}", "is given", f"say --{name} NAME, or {name} = in a run file")
        return value
