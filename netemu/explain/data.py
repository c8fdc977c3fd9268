"""Explanations for programs: plain data."""

from __future__ import annotations

from typing import Any

from netemu.azure.flow import protocol_name, protocol_number
from netemu.explain.edits import as_tree
from netemu.explain.explanation import Explanation, Note, Obstacle, Remedy
from netemu.explain.seen import Seen
from netemu.verify.report import packet_data, verdict_data
from netemu.verify.trial import Trial


def as_data(explanation: Explanation, seen: Seen | None = None, trial: Trial | None = None) -> dict[str, Any]:
    """Everything, in plain types; with what a packet did in a running lab, if it was tried."""
    flow = explanation.flow
    return {
        "flow": explanation.title,
        "from": flow.source,
        "to": str(flow.destinationAddress),
        "protocol": protocol_name(protocol_number(flow.protocol)),
        "port": flow.destinationPort or None,
        "works": explanation.works if seen is None else seen.works,
        "obstacles": [_obstacle(obstacle) for obstacle in explanation.obstacles],
        "worksThen": explanation.works_then,
        "notes": [_note(note) for note in explanation.notes],
        "verdict": verdict_data(explanation.verdict),
        **({"seen": _seen(seen, trial)} if seen is not None and trial is not None else {}),
    }


def _seen(seen: Seen, trial: Trial) -> dict[str, Any]:
    return {
        "packet": packet_data(trial.observation, trial.decided),
        "counted": trial.counted,
        "routes": [{"networkInterface": each.nic, "route": each.text} for each in trial.routes],
        "listened": trial.listened,
        "listening": [
            {
                "protocol": each.protocol.capitalize(),
                "address": str(each.address or "0.0.0.0"),  # noqa: S104 -- as programs say it
                "port": each.port,
                "program": each.program,
            }
            for each in trial.waiting
        ],
        "evidence": list(seen.evidence),
        "trouble": seen.trouble,
        "remedy": seen.remedy,
        "parted": list(seen.parted),
    }


def _obstacle(obstacle: Obstacle) -> dict[str, Any]:
    return {
        "way": obstacle.way,
        "stage": obstacle.stage,
        "what": obstacle.what,
        "place": obstacle.place,
        "direction": obstacle.direction,
        "networkSecurityGroup": obstacle.networkSecurityGroup,
        "rule": obstacle.rule,
        "hints": list(obstacle.hints),
        "remedies": [_remedy(remedy) for remedy in obstacle.remedies],
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {
        "text": remedy.text,
        "edits": [{"path": list(edit.path), "value": edit.value} for edit in remedy.edits],
        "scenario": as_tree(remedy.edits),
        "to": remedy.to,
    }


def _note(note: Note) -> dict[str, Any]:
    return {"name": note.name, "text": note.text, "remedies": [_remedy(remedy) for remedy in note.remedies]}
