"""Floor 2: the microcontroller. Knows nothing of networks: it is given work counts."""

from mcusim.mcu.board import Board, Cache, FlashMemory, FlashSectors, Power, Runtime, SramRegion
from mcusim.mcu.board_files import BOARDS, board, board_names, boards, load_board

__all__ = [
    "BOARDS",
    "Board",
    "Cache",
    "FlashMemory",
    "FlashSectors",
    "Power",
    "Runtime",
    "SramRegion",
    "board",
    "board_names",
    "boards",
    "load_board",
]
