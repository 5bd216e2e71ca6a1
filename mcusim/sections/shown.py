"""What can be shown: it hands over sections, and is printed and displayed by them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from mcusim.sections.html import fragment
from mcusim.sections.kinds import Section
from mcusim.sections.text import text


class Shown:
    """A result that says what there is to say as sections."""

    __slots__ = ()

    @abstractmethod
    def sections(self) -> Sequence[Section]:
        """Return what there is to say, the most important first."""

    def __str__(self) -> str:
        return text(self.sections())

    def _repr_html_(self) -> str:
        return fragment(self.sections())
