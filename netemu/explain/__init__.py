"""Explain: why a flow works or not, in sentences, and what would change it. Pure.

explanation  what an explanation is made of
reasons      finds what stops a flow first, then next…; tries every remedy on a copy of the scenario
case         one way that ended badly, and names of what is on it
rules        security rules, public IPs without an NSG
routes       routes, peerings
appliances   forwarding, loops, forwarded traffic
internet     the internet's edge
edits        changes of a scenario
text, data   the explanation for people, and for programs
"""

from __future__ import annotations

from netemu.explain.explanation import Explanation, Note, Obstacle, Remedy
from netemu.explain.reasons import explain

__all__ = ["Explanation", "Note", "Obstacle", "Remedy", "explain"]
