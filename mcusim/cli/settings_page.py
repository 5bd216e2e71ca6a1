"""The page of all settings: ``python -m mcusim.cli.settings_page > docs/settings.md`` makes it."""

from __future__ import annotations

from mcusim.cli.options import OF_VERBS, group_of, help_of, ordered
from mcusim.core.chosen import leaves
from mcusim.core.setting import Setting
from mcusim.planning.settings import Settings

INTRO = """# Settings

Made by `python -m mcusim.cli.settings_page > docs/settings.md`, from the fields that are all there is of a
setting. Each is an option of every verb that plans or trains, and a key of a run file; those of a session are
arguments of `mcusim.Session` too, those of single verbs of their functions. A run file is TOML:

```toml
model = "mbv2-w0.35"
classes = 10
board = "stm32f746"
data = "cifar10"
update = "dynamic"
sram = "256KiB"

[formats]
weight = "int8+res8"

[sgd]
lr = 0.001
head_rate = 1.5

[training]
epochs = 20

[training.augmentation]
shift = 2
```

`mcusim plan run.toml` and `mcusim train run.toml --epochs 1` read it; options override it. Tables under
`[tool]` are left to other programs. `train --out DIR` leaves such a file in DIR; it gives the same run again.
"""
GROUPS = {
    "": "Network, board, data", "session": "A session",
    **{
        group: f"{group.capitalize()} ({', '.join(f'`{verb}`' for verb in verbs)} only)"
        for group, verbs in OF_VERBS.items()
    },
}  # fmt: skip


def page() -> str:
    """Return the page: a table for each group."""
    groups: dict[str, list[Setting]] = {group: [] for group in GROUPS}
    inside = {item.path: "session" for item in leaves(Settings)}
    for item in ordered():
        groups[group_of(item) or inside.get(item.path, "")].append(item)
    text = INTRO
    for group, items in groups.items():
        text += f"\n## {GROUPS[group]}\n\n| option | run file | default | what |\n|---|---|---|---|\n"
        text += "".join(map(_row, items))
    return text


def _row(item: Setting) -> str:
    plain = item.plain(item.default)
    shown = "" if plain in (None, "", {}) else f"`{str(plain).lower() if item.is_flag else plain}`"
    bounds = f" {item.bounds.capitalize()}." if item.bounds else ""
    key = ".".join(item.path)
    return f"| `{', '.join(item.flags)}` | `{key}` | {shown} | {help_of(item)}{bounds} |\n"


if __name__ == "__main__":
    print(page(), end="")
