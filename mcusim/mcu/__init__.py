"""Floor 2: the microcontroller. Knows nothing of networks: it is given work counts."""

from mcusim.mcu.board import Board, Cache, FlashMemory, FlashSectors, Power, Runtime, SramRegion
from mcusim.mcu.board_files import BOARDS, board, board_names, boards, load_board
from mcusim.mcu.cycles.cycles import Estimate, estimate
from mcusim.mcu.cycles.profile import PROFILES, Fitted, Profile, load_profile, profile, profile_names

__all__ = [
    "BOARDS",
    "PROFILES",
    "Board",
    "Cache",
    "Estimate",
    "Fitted",
    "FlashMemory",
    "FlashSectors",
    "Power",
    "Profile",
    "Runtime",
    "SramRegion",
    "board",
    "board_names",
    "boards",
    "estimate",
    "load_board",
    "load_profile",
    "profile",
    "profile_names",
]
