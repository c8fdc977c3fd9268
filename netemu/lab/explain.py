"""Explanations of a running lab: by Azure's rules, and by a packet that is sent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec import structs

from netemu.lab.proof import running

if TYPE_CHECKING:
    from netemu.azure.flow import Flow
    from netemu.explain import Explanation
    from netemu.verify.trial import Trial


def explain_in_lab(lab: str, flow: Flow, title: str) -> tuple[Explanation, Trial]:
    """Explain a flow of a lab that is up, and try it."""
    network, namespaces = running(lab)
    from netemu.explain import explain
    from netemu.verify.trial import attempt

    # An old record would let the packet of a flow with the same ports pass.
    flow = structs.replace(flow, sourcePort=random.randrange(20000, 60000))
    explanation = explain(network, flow, title)
    return explanation, attempt(network, namespaces, flow, explanation.verdict)
