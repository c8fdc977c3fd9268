"""Widths of texts, estimated without a font, and the characters that may appear in a picture.

Whoever looks at a picture has other fonts than we do. The widths are those of DejaVu Sans, one of the widest fonts in
use: a text that fits by this table fits everywhere.
"""

from __future__ import annotations

import html
import unicodedata

REGULAR, BOLD, MONO = "regular", "bold", "mono"

_REGULAR = {
    300: " 'IJijl", 350: ",./:;\\|", 400: "()-[]ft", 450: "!r", 500: '"*_`', 550: "?csz", 600: "FLkvxy",
    650: "$0123456789EPSTYabdeghnopqu{}", 700: "ABCKRVXZ", 750: "NU", 800: "&DGHOQ", 850: "#+<=>^w~", 900: "M",
    950: "%", 1000: "@Wm",
}  # fmt: skip
_BOLD = {
    350: " 'ijl", 400: ",./:;IJ\\|", 450: "-f", 500: "!()[]_`rt", 550: '"*', 600: "?csz", 650: "Lx",
    700: "$0123456789EFTaekovy", 750: "CPSYZbdghnpqu{}", 800: "ABKRVX", 850: "#+<=>DGHNOQU^~", 900: "&", 950: "w",
    1000: "@M", 1050: "%m", 1150: "W",
}  # fmt: skip
_ADVANCE = {
    REGULAR: {ord(character): width for width, characters in _REGULAR.items() for character in characters},
    BOLD: {ord(character): width for width, characters in _BOLD.items() for character in characters},
}
_MONO_ADVANCE = 605
_OTHER_ADVANCE = 900
"""Letters outside ASCII; East Asian ones are wider, combining marks have no width."""


def width(text: str, size: float, face: str = REGULAR) -> float:
    """Width of a text in pixels; rather too much than too little."""
    table = _ADVANCE.get(face, {})
    ascii_default = _MONO_ADVANCE if face == MONO else _OTHER_ADVANCE
    total = 0
    for character in text:
        code = ord(character)
        if code < 127:
            total += table.get(code, ascii_default)
        elif unicodedata.combining(character):
            continue
        elif unicodedata.east_asian_width(character) in "WF":
            total += 1300
        else:
            total += _OTHER_ADVANCE
    return total * size / 1000


def fit(text: str, room: float, size: float, face: str = REGULAR) -> str:
    """The text, shortened with an ellipsis when it is wider than the room there is."""
    if width(text, size, face) <= room:
        return text
    left = room - width("…", size, face)
    for length in range(len(text), 0, -1):
        if width(text[:length], size, face) <= left:
            return text[:length].rstrip() + "…"
    return "…"


def escape(text: str) -> str:
    """The text as it may stand in XML, in an attribute too.

    Characters that XML forbids even as references (control characters, surrogates) become a replacement character.
    """
    return html.escape("".join(map(_permitted, text)), quote=True)


def _permitted(character: str) -> str:
    code = ord(character)
    if code in (9, 10, 13):
        return " "
    forbidden = code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE
    return "\N{REPLACEMENT CHARACTER}" if forbidden else character
