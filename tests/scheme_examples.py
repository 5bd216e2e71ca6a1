"""Spellings of every registered update scheme, for tests on small networks that iterate the registry."""

from __future__ import annotations

from mcusim.update import SCHEMES

EXAMPLES: dict[str, tuple[str, ...]] = {
    "adapters": (),
    "none": ("none",),
    "head": ("head",),
    "bias": ("bias", "bias-2"),
    "last": ("last-3",),
    "dense": ("dense",),
    "dynamic": (
        "dynamic:ratio=0.2",
        "dynamic:ratio=0.2,stage=none,policy=weight-norm",
        "dynamic:ratio=0.2,stage=3,policy=round-robin",
        "dynamic:ratio=0.2,policy=gradient-norm,bias_blocks=0",
        "dynamic:ratio=0.2,policy=importance,layers=all",
    ),
    "trady": (
        "trady:elements=2000",
        "trady:elements=2000,even=true",
        "trady:elements=none,ratio=0.3,layers=all",
    ),
    "medyate": ("medyate:elements=2000", "medyate:elements=2000,ratio=0.2,even=true"),
    "tinytrain": ("tinytrain:ratio=0.2", "tinytrain:ratio=0.2,elements=4000,channels=0.25"),
    "tinyprop": ("tinyprop", "tinyprop:s_max=0.5,damping=0.5,layers=all"),
    "zeroth": ("zeroth:ratio=0.2", "zeroth:ratio=0.2,stage=none,step=2,bias_blocks=0"),
    "static": (),
}
"""By name; ``static`` and ``adapters`` are for networks of their own."""
ELSEWHERE = {
    "static": "tests/update/test_update_published.py",
    "adapters": "tests/update/test_update_adapters.py",
}
"""Schemes that suit no small network, and where they are tested."""
SPELLED = {"static": "static:mbv2-99kb", "adapters": "adapters:biases=2"}
"""One spelling of each of those."""
TEXTS = [text for name in SCHEMES.names() for text in EXAMPLES.get(name, ())]
LEARNING = [text for text in TEXTS if text != "none"]
"""Those with which something can be trained."""
FIRST = [EXAMPLES[name][0] for name in SCHEMES.names() if EXAMPLES.get(name) and name != "none"]
"""One spelling of each of them."""
