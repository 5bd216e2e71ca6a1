"""Packages of the extra ``study``, loaded where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mcusim.core import MissingPackage


def required(package: str, purpose: str) -> Any:
    """Return a package of the extra.

    Raises:
        MissingPackage: if it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingPackage(package, purpose, "study") from error
