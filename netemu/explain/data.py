"""Explanations for programs: plain data."""

from __future__ import annotations

from typing import Any

from netemu.azure.flow import protocol_name, protocol_number
from netemu.explain.edits import as_tree
from netemu.explain.explanation import Explanation, Note, Obstacle, Remedy
from netemu.verify.report import verdict_data


def as_data(explanation: Explanation) -> dict[str, Any]:
    """Everything, in plain types."""
    flow = explanation.flow
    return {
        "flow": explanation.title,
        "from": flow.source,
        "to": str(flow.destinationAddress),
        "protocol": protocol_name(protocol_number(flow.protocol)),
        "port": flow.destinationPort or None,
        "works": explanation.works,
        "obstacles": [_obstacle(obstacle) for obstacle in explanation.obstacles],
        "worksThen": explanation.works_then,
        "notes": [_note(note) for note in explanation.notes],
        "verdict": verdict_data(explanation.verdict),
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
