"""The matrix for programs: JSON-able data, JUnit XML, and a page to keep."""

from __future__ import annotations

from html import escape
from typing import Any

from netemu.verify.matrix.judge import Finding, Outcome
from netemu.verify.matrix.plan import Pair, Plan
from netemu.verify.matrix.reach import Cell, Grid, grid, reach
from netemu.verify.report import decision_data, verdict_data, xml_text

HOW_TO_REPORT = (
    "A disagreement is a bug in netemu, whatever the scenario says. `netemu report {lab}` gathers what is needed to"
    " find it (the scenario, versions, the kernel's state, this evidence) in one file: please open an issue with it."
)


def summary(lab: str, outcome: Outcome) -> str:
    """The last line."""
    wrong = sum(finding.alike for finding in outcome.findings)
    said = f"{outcome.judged - wrong} of {outcome.judged} flows agree" if wrong else f"all {outcome.judged} flows agree"
    left = f"; interrupted: {outcome.unasked} were not asked" if outcome.unasked else ""
    return f"{lab}: {said}, in {outcome.seconds:.1f} s{left}"


def title(finding: Finding) -> str:
    """The flow that shows a disagreement, in a line."""
    packet, question = finding.shot.packet, finding.shot.question
    alike = f", and {finding.alike - 1} more flows like it" if finding.alike > 1 else ""
    at = f" ({question.why})" if question.pair is None else ""
    return f"{question.source.name}: {packet}{at}{alike}"


def as_data(lab: str, plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Everything that is known, in plain types."""
    return {
        "lab": lab,
        "flows": outcome.judged,
        "notAsked": outcome.unasked,
        "seconds": round(outcome.seconds, 3),
        "disagreements": [_finding(finding) for finding in outcome.findings],
        "otherwiseAtFirst": outcome.passing,
        "howToReport": HOW_TO_REPORT.format(lab=lab) if outcome.findings else None,
        "pairs": [_pair(pair) for pair in plan.pairs],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "from": pair.source.name,
        "fromAddress": _dotted(pair.source.address),
        "to": pair.target.name,
        "toAddress": _dotted(pair.target.address),
        "reach": {
            protocol: [[first, end - 1] for first, end in ports.intervals()] if protocol != "Icmp" else bool(ports)
            for protocol, ports in pair.reach.items()
        },
        "unanswered": sorted(pair.unanswered),
        "flows": pair.flows,
        "disagreements": pair.disagreements,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    shot, seen = finding.shot, finding.observation
    return {
        "flow": title(finding),
        "alike": finding.alike,
        "boundary": shot.question.why,
        "from": shot.question.source.name,
        "source": _dotted(shot.packet.source),
        "destination": _dotted(shot.packet.destination),
        "protocol": shot.question.protocol,
        "sourcePort": shot.packet.sourcePort,
        "destinationPort": shot.packet.destinationPort,
        "disagreements": list(finding.disagreements),
        "verdict": verdict_data(shot.verdict),
        "packet": {
            "access": "Allow" if seen.delivered else "Deny",
            "receiver": seen.receiver,
            "via": list(seen.via),
            "sourceSeenAs": str(seen.sourceSeenAs) if seen.sourceSeenAs else None,
            "destinationSeenAs": str(seen.destinationSeenAs) if seen.destinationSeenAs else None,
            "answered": seen.answered,
            "counted": [decision_data(decision) for decision in seen.decisions],
            "error": seen.error,
        },
    }


def _dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def as_junit(lab: str, plan: Plan, outcome: Outcome) -> str:
    """JUnit XML: one case for each pair, and one for what belongs to no pair."""
    from xml.etree import ElementTree

    wrong: dict[int, list[Finding]] = {}
    for finding in outcome.findings:
        wrong.setdefault(id(finding.shot.question.pair), []).append(finding)
    cases = [(pair, f"{pair.source.name} reaches {pair.target.name} on {reach(pair)}") for pair in plan.pairs]
    failures = sum(id(pair) in wrong or pair.disagreements > 0 for pair in plan.pairs) + (id(None) in wrong)
    suite = ElementTree.Element(
        "testsuite", name=f"netemu verify --matrix {lab}", tests=str(len(cases) + 1), failures=str(failures),
        errors="0", skipped="0", time=f"{outcome.seconds:.3f}",
    )  # fmt: skip
    for pair, name in [*cases, (None, "limits of addresses and protocols")]:
        case = ElementTree.SubElement(suite, "testcase", classname=f"netemu.{lab}.matrix", name=xml_text(name))
        found = wrong.get(id(pair), [])
        if found or (pair is not None and pair.disagreements):
            lines = [line for finding in found for line in (title(finding), *finding.disagreements)]
            lines = lines or ["parts from its verdict as another pair does"]
            ElementTree.SubElement(case, "failure", message=xml_text(lines[0])).text = xml_text("\n".join(lines))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2em;color:#222;background:#fff}h1{font-size:20px}
table{border-collapse:collapse}th,td{border:1px solid #d5d5d5;padding:3px 7px;text-align:center}
th{font-weight:500;background:#f5f5f5}th.row{text-align:left;white-space:nowrap}
thead th div{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap}
.all{background:#cdebcd}.part{background:#fff1c2}.none{color:#aaa}.wrong{background:#e04848;color:#fff}
.finding{border-left:4px solid #e04848;padding:2px 12px;margin:14px 0}code{white-space:pre-wrap}
@media (prefers-color-scheme:dark){body{background:#181818;color:#ddd}th{background:#262626}th,td{border-color:#444}
.all{background:#1f5c2a}.part{background:#6a5310}}
"""


def as_page(lab: str, plan: Plan, outcome: Outcome) -> str:
    """A page of HTML that needs nothing else."""
    shown = grid(plan.pairs)
    head = "".join(f"<th><div>{escape(name)}</div></th>" for name in shown.columns)
    rows = "".join(
        f'<tr><th class="row">{escape(name)}</th>{_row(name, shown, cells)}</tr>'
        for name, cells in zip(shown.rows, shown.cells, strict=True)
    )
    legend = "".join(f"<tr><th>{mark}</th><td>{escape(text)}</td></tr>" for mark, text in shown.legend.items())
    findings = "".join(_part(finding) for finding in outcome.findings)
    report = f"<p>{escape(HOW_TO_REPORT.format(lab=lab))}</p>" if findings else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(lab)}: who reaches whom</title>'
        f"<style>{STYLE}</style><h1>{escape(summary(lab, outcome))}</h1>{report}{findings}"
        f"<p>Rows ask, columns are asked{', subnet by subnet' if shown.folded else ''}. ● everything, · nothing.</p>"
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p></p><table>{legend}</table></html>\n"
    )


def _row(name: str, shown: Grid, cells: list[Cell]) -> str:
    return "".join(_cell(name, to, cell) for to, cell in zip(shown.columns, cells, strict=True))


def _cell(source: str, target: str, cell: Cell) -> str:
    kind = {"●": "all", "·": "none", " ": ""}.get(cell.mark, "part")
    if cell.disagreements:
        kind = "wrong"
    said = f"{source} → {target}: {cell.text}" if cell.pairs else ""
    if cell.disagreements:
        said += f"; {cell.disagreements} flows disagree"
    return f'<td class="{kind}" title="{escape(said)}">{cell.mark}</td>'


def _part(finding: Finding) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in finding.disagreements)
    steps = "\n".join(escape(step.text) for step in finding.shot.verdict.steps)
    return (
        f'<div class="finding"><b>{escape(title(finding))}</b><ul>{lines}</ul>'
        f"<details><summary>the way by Azure's rules</summary><code>{steps}</code></details></div>"
    )
