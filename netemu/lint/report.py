"""Findings for programs: plain data, GitHub's workflow commands, JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netemu.lint import Finding, Outcome


def as_data(outcome: Outcome) -> dict[str, Any]:
    """Everything, in plain types."""
    return {
        "file": outcome.file,
        "findings": [_data(finding) for finding in outcome.findings],
        "silenced": [_data(finding) for finding in outcome.silenced],
        "rules": [
            {"resource": resource, "decides": str(packet) if packet is not None else None}
            for resource, packet in outcome.witnesses.items()
        ],
    }


def _data(finding: Finding) -> dict[str, Any]:
    return {"name": finding.name, **{field: getattr(finding, field) for field in finding.__struct_fields__}}


def as_github(outcome: Outcome) -> Iterator[str]:
    """Lines that GitHub Actions turns into annotations of the file."""
    for finding in outcome.findings:
        text = _escaped(f"{finding.resource}: {finding.what}; {finding.instead}")
        place = f"file={_property(finding.file)},line={finding.line},col={finding.column}"
        yield f"::warning {place},title={_property(finding.finding)}::{text}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """JUnit XML, as CI systems read it: a failure for each finding, and one success for each file without any."""
    from xml.etree import ElementTree

    from netemu.verify.report import xml_text

    count = sum(len(outcome.findings) for outcome in outcomes)
    clean = sum(not outcome.findings for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite", name="netemu lint", tests=str(count + clean), failures=str(count), errors="0", skipped="0"
    )
    for outcome in outcomes:
        file = xml_text(outcome.file)
        if not outcome.findings:
            ElementTree.SubElement(suite, "testcase", classname="netemu.lint", name=file)
        for finding in outcome.findings:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"netemu.lint.{file}", name=xml_text(finding.name), file=file,
                line=str(finding.line),
            )  # fmt: skip
            failure = ElementTree.SubElement(case, "failure", message=xml_text(finding.what))
            failure.text = xml_text(str(finding))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
