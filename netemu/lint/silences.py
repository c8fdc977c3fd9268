"""What a scenario says it means: findings that are not told, and silences that have nothing to silence."""

from __future__ import annotations

from netemu.lint.findings import Finding, Subject

STALE = "silences-nothing"


def divide(subject: Subject) -> tuple[list[Finding], list[Finding]]:
    """The findings to tell, and those that `lint.ignore` names."""
    ignored = subject.scenario.lint.ignore
    silenced = [finding for finding in subject.findings if finding.name in ignored]
    told = [finding for finding in subject.findings if finding.name not in ignored]
    subject.findings = told
    known = {finding.name for finding in silenced}
    for name in ignored:
        if name in known:
            continue
        near = [finding.name for finding in told if finding.name.rpartition("/")[0] == name.rpartition("/")[0]]
        instead = f"did you mean `{near[0]}`?" if near else "remove it"
        subject.add(("lint", "ignore", name), "", STALE, "nothing of that name is found", instead)
    return sorted(set(subject.findings)), sorted(silenced)
