"""The same scenario for a lab of another name, with every other letter of its text as it was."""

from __future__ import annotations

import yaml

from netemu.scenario.reading import LOADER


def renamed(text: str, name: str) -> str:
    """A valid scenario's text with another value of its top-level `name`."""
    loader = LOADER(text)
    depth, is_value, key = 0, False, ""
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.ScalarEvent) and depth == 1 and is_value and key == "name":
                anchor = f"&{event.anchor} " if event.anchor else ""
                assert event.start_mark is not None
                assert event.end_mark is not None
                return text[: event.start_mark.index] + anchor + name + text[event.end_mark.index :]
            if depth == 1 and isinstance(event, yaml.NodeEvent):
                key = event.value if not is_value and isinstance(event, yaml.ScalarEvent) else key
                is_value = not is_value
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
    finally:
        loader.dispose()
    raise ValueError("a valid scenario has a name")
