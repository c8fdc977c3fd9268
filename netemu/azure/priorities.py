"""Free priorities of an NSG: where a new rule could go (NSG-5, NSG-6)."""

from __future__ import annotations

from netemu.azure import resources as arm

FIRST, LAST = 100, 4096


def free_priority(group: arm.NetworkSecurityGroup, direction: arm.Direction, before: int) -> int | None:
    """A priority that no rule of the direction has and that comes before another one; None when all are taken.

    As near to that one as a round number is free, so that the rules keep their order.
    """
    taken = {rule.priority for rule in group.securityRules.values() if rule.direction == direction}
    end = min(before, LAST + 1)
    nearest = max((priority for priority in taken if priority < end), default=FIRST - 1)
    for step in (100, 10):
        # Behind the rule that comes before, if there is a round number between the two.
        candidate = (nearest // step + 1) * step
        if nearest < candidate < end:
            return candidate
    return next((priority for priority in range(end - 1, FIRST - 1, -1) if priority not in taken), None)
