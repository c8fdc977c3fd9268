"""netemu: Azure networking with real packets, on one Linux machine.

    from netemu import Lab

    with Lab("scenarios/three-tier.yaml") as lab:
        assert lab.reaches("web1", "app1", port=8080)

What is imported from here is loaded when it is asked for, so that `import netemu` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, which takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from netemu.api import Lab, Line, Machine, Matrix, Process, Reach, Verification
    from netemu.errors import NetemuError, PersonError, ScenarioError, SystemRefusal

__version__ = "0.1.0"
__all__ = [
    "Lab", "Line", "Machine", "Matrix", "NetemuError", "PersonError", "Process", "Reach", "ScenarioError",
    "SystemRefusal", "Verification",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load what is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module("netemu.errors" if name.endswith(("Error", "Refusal")) else "netemu.api")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
