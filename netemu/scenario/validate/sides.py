"""The two sides of a security rule: addresses, service tags, application security groups (NSG-13, 14, 28)."""

from __future__ import annotations

from netemu.azure import resources as arm
from netemu.azure import tags
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.addresses import IPV6_INSTEAD, Unreadable, is_ipv6, read_address, read_prefix
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.limits import APPLICATION_GROUPS_PER_SIDE, PREFIXES_PER_SIDE, limit


def check_side(context: Context, path: Path, rule: arm.SecurityRule, side: str) -> None:
    """Check `source…` or `destination…` of a rule."""
    prop = f"{side}AddressPrefix"
    plural_prop, groups_prop = f"{prop}es", f"{side}ApplicationSecurityGroups"
    single: arm.Strings | None = getattr(rule, prop)
    plural: arm.Strings | None = getattr(rule, plural_prop)
    groups: arm.Strings | None = getattr(rule, groups_prop)
    written = [
        key for key, value in ((prop, single), (plural_prop, plural), (groups_prop, groups)) if value is not None
    ]
    for other in written[1:]:
        exclude(context, path, written[0], other)
    for key, prefixes in ((prop, single), (plural_prop, plural)):
        if prefixes is not None:
            _prefixes(context, path, key, prefixes)
    for index, name in enumerate(groups or ()):
        context.reference(
            path, (groups_prop, index), name, "applicationSecurityGroup", context.scenario.applicationSecurityGroups,
            "applicationSecurityGroups",
        )  # fmt: skip
    if groups is not None:
        if not groups:
            context.add(path, groups_prop, f"{groups_prop} is empty", "remove it or name one", codes.RULE_PARAMETERS)
        limit(context, path, groups_prop, len(groups), APPLICATION_GROUPS_PER_SIDE)


def exclude(context: Context, path: Path, first: str, second: str) -> None:
    """Report two properties of which only one can be there (NSG-13, NSG-14)."""
    context.add(path, second, f"{first} and {second} exclude each other", "write one of them", codes.RULE_PARAMETERS)


def _prefixes(context: Context, path: Path, prop: str, prefixes: arm.Strings) -> None:
    if not prefixes:
        context.add(path, prop, f"{prop} is empty", "write * for any address", codes.RULE_ADDRESS)
    limit(context, path, prop, len(prefixes), PREFIXES_PER_SIDE)
    first_tag: str | None = None
    for index, text in enumerate(prefixes):
        within = (prop, index)
        if text == "*":
            if len(prefixes) > 1:
                context.add(path, within, "`*` is among other addresses", "write * alone for any", codes.RULE_ADDRESS)
            continue
        tag = tags.canonical(text)
        if tag is None:
            problem = _problem(context, text)
            if problem is not None:
                context.add(path, within, *problem, codes.RULE_ADDRESS)
        elif first_tag is not None:
            context.add(
                path, within, f"{tag} is a second service tag after {first_tag}", "one tag for each side of a rule",
                codes.RULE_ADDRESS,
            )  # fmt: skip
        else:
            first_tag = tag


def _problem(context: Context, text: str) -> tuple[str, str] | None:
    """Say what is wrong with an address, prefix or tag of a rule, and what would be right."""
    if is_ipv6(text.partition("/")[0]):
        return f"{quoted(text)} is IPv6", IPV6_INSTEAD
    try:
        if "/" in text:
            read_prefix(text)
        elif text[:1].isdigit():
            read_address(text)
        else:
            near = context.suggestions.nearest(text, tags.names())
            instead = f"did you mean `{near}`?" if near else "write *, an address, a prefix or a service tag"
            return f"{quoted(text)} is no service tag", instead
    except Unreadable as problem:
        return problem.what, problem.instead
    return None
