"""The public models and data sets this project knows: ``models/registry.toml``, checked."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mcusim.core import BadModel, UnknownName


class Download(BaseModel):
    """One file that can be fetched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    url: Annotated[str, Field(pattern=r"^https?://")]
    file: Annotated[str, Field(pattern=r"^(models|data)/[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Where it goes in the user's cache."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: str
    bytes: Annotated[int, Field(gt=0, le=2**30)] | None = None
    """Size, where a source states it."""


def shipped_models() -> Path:
    """Return the folder of models that comes with the package (in a checkout: ``models/`` at the top)."""
    package = Path(str(files("mcusim")))
    assets = package / "assets" / "models"
    return assets if assets.is_dir() else package.parent / "models"


def registry(path: str | Path | None = None) -> dict[str, Download]:
    """Return all entries by name.

    Raises:
        BadModel: if the file is missing or malformed; names the entry and the field.
    """
    path = Path(path) if path else shipped_models() / "registry.toml"
    try:
        return TypeAdapter(dict[str, Download]).validate_python(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadModel(str(path), f"cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BadModel(str(path), f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError as error:  # malformed TOML or text
        raise BadModel(str(path), str(error)) from error


def entry(name: str) -> Download:
    """Return one entry.

    Raises:
        UnknownName: if there is none; suggests the nearest names.
    """
    known = registry()
    if name not in known:
        raise UnknownName("public model or data set", name, known)
    return known[name]
