"""Security rules (NSG-3, NSG-5, NSG-6, NSG-10, NSG-12, NSG-14); their addresses are read in `sides`."""

from __future__ import annotations

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate import sides
from netemu.scenario.validate.context import Context

DEFAULT_RULES = (
    "AllowVnetInBound", "AllowAzureLoadBalancerInBound", "DenyAllInBound",
    "AllowVnetOutBound", "AllowInternetOutBound", "DenyAllOutBound",
)  # fmt: skip
"""Every NSG has these; no other rule can be called so (NSG-5, NSG-7, NSG-8)."""

_DEFAULT_FOLDED = {name.lower(): name for name in DEFAULT_RULES}

LONGEST_DESCRIPTION = 140


def check(context: Context) -> None:
    """Check every rule of every NSG."""
    for group_name, group in context.scenario.networkSecurityGroups.items():
        first: dict[tuple[int, str], str] = {}
        for name, rule in group.securityRules.items():
            path = ("networkSecurityGroups", group_name, "securityRules", name)
            _itself(context, path, name, rule)
            _priority(context, path, name, rule, first)
            _ports(context, path, rule, "source")
            _ports(context, path, rule, "destination")
            sides.check_side(context, path, rule, "source")
            sides.check_side(context, path, rule, "destination")


def _itself(context: Context, path: Path, name: str, rule: arm.SecurityRule) -> None:
    default = _DEFAULT_FOLDED.get(name.lower())
    if default is not None:
        context.add(path, "", f"{default} is a default rule, which every NSG has", "another name", codes.RULE_CONFLICT)
    if rule.description is not None and len(rule.description) > LONGEST_DESCRIPTION:
        context.add(
            path, "description", f"the description has {len(rule.description)} characters",
            f"at most {LONGEST_DESCRIPTION}", codes.INVALID_PARAMETER,
        )  # fmt: skip


def _priority(
    context: Context, path: Path, name: str, rule: arm.SecurityRule, first: dict[tuple[int, str], str]
) -> None:
    if not 100 <= rule.priority <= 4096:
        context.add(path, "priority", f"priority cannot be {rule.priority}", "100 to 4096", codes.RULE_PRIORITY)
        return
    if not rule.direction:
        return
    other = first.setdefault((rule.priority, rule.direction), name)
    if other != name:
        context.add(
            path, "priority", f"rule {name} conflicts with rule {other}: both are {rule.direction} {rule.priority}",
            "another priority", codes.RULE_CONFLICT,
        )  # fmt: skip


def _ports(context: Context, path: Path, rule: arm.SecurityRule, side: str) -> None:
    prop = f"{side}PortRange"
    single: arm.Strings | None = getattr(rule, prop)
    plural: arm.Strings | None = getattr(rule, f"{prop}s")
    if single is not None and plural is not None:
        sides.exclude(context, path, prop, f"{prop}s")
    for key, ranges in ((prop, single), (f"{prop}s", plural)):
        if ranges is None:
            continue
        if not ranges:
            context.add(path, key, f"{key} is empty", "write * for any port", codes.RULE_PORT)
        for index, text in enumerate(ranges):
            _port(context, path, (key, index), text, len(ranges) > 1)
            if rule.protocol in ("Icmp", "Esp", "Ah") and text != "*":
                context.add(
                    path, (key, index), f"{rule.protocol} has no ports, but {key} is {quoted(text)}", "write *",
                    codes.RULE_PORT,
                )  # fmt: skip


def _port(context: Context, path: Path, within: Path, text: str, in_list: bool) -> None:
    if text == "*":
        if in_list:
            context.add(path, within, "`*` is among other ports", "write * alone for any port", codes.RULE_PORT)
        return
    low, dash, high = text.partition("-")
    bounds = [_bound(low), _bound(high if dash else low)]
    first, last = bounds
    if first is None or last is None:
        context.add(
            path, within, f"{quoted(text)} is not a port", "write 80, 8080-8090 or *; 0 to 65535", codes.RULE_PORT
        )
    elif first > last:
        context.add(path, within, f"{quoted(text)} runs backwards", f"did you mean `{last}-{first}`?", codes.RULE_PORT)


def _bound(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or (text[0] == "0" and text != "0"):
        return None
    return int(text) if int(text) <= 65535 else None
