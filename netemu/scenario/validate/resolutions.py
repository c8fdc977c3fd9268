"""Expectations about names: `resolvesTo` in place of `access`."""

from __future__ import annotations

import re

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.addresses import is_ipv6, read_address
from netemu.scenario.validate.context import Context, silent

_NAME = re.compile(r"(?!.{254})[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)

OF_FLOWS = ("access", "port", "sourcePort", "rule", "via", "reply", "backends", "flows", "failover", "sourceSeenAs")
"""What only a flow has."""

NO_RECORD = ("NXDOMAIN", "NODATA", "SERVFAIL", "TIMEOUT")
"""Answers without a record: no such name, none of this type, no answer that could be used, none at all."""


def check(context: Context, path: Path, expectation: arm.Expectation) -> None:
    """Check a line with `resolvesTo`."""
    for prop in OF_FLOWS:
        if getattr(expectation, prop) is not None:
            context.add(
                path, prop, f"{prop} and resolvesTo exclude each other", f"remove one; {prop} is about a flow",
                codes.CONFLICTING_PROPERTIES,
            )  # fmt: skip
    machines, hosts = context.scenario.virtualMachines, context.scenario.internet.hosts
    if expectation.from_ not in hosts:
        context.reference(
            path, "from", expectation.from_, "VM or internet host", {**machines, **hosts}, "virtualMachines"
        )
    reverse = expectation.recordType == "PTR" and silent(read_address, expectation.to or "x") is not None
    if expectation.to and not reverse and not _NAME.fullmatch(expectation.to):
        context.add(
            path, "to", f"{quoted(expectation.to)} cannot be looked up", "a name such as db1.corp.internal",
            codes.INVALID_PARAMETER,
        )  # fmt: skip
    values = expectation.resolvesTo or ()
    for index, text in enumerate(values if not context.gap(path, "recordType") else ()):
        if text in NO_RECORD:
            if len(values) > 1:
                context.add(
                    path, ("resolvesTo", index), f"{text} is a whole answer", "write nothing beside it",
                    codes.CONFLICTING_PROPERTIES,
                )  # fmt: skip
        elif expectation.recordType == "A":
            _address(context, path, ("resolvesTo", index), text)
        elif expectation.recordType == "AAAA" and not is_ipv6(text):
            context.add(
                path, ("resolvesTo", index), f"{quoted(text)} is not an IPv6 address", "one such as 2001:db8::1",
                codes.INVALID_ADDRESS,
            )  # fmt: skip


def _address(context: Context, path: Path, within: Path, text: str) -> None:
    scenario = context.scenario
    known = {**scenario.virtualMachines, **scenario.internet.hosts, **scenario.publicIPAddresses}
    if text in known:
        return
    if text.replace(".", "").isdigit() or ":" in text:
        context.address(path, within, text)
        return
    context.add(
        path, within, f"nobody is called {quoted(text)}",
        f"an address, a VM, an internet host, a public IP, or one of {', '.join(NO_RECORD)}",
        codes.INVALID_RESOURCE_REFERENCE,
    )  # fmt: skip
