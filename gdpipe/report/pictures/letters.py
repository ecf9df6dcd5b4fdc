"""The width of text in a picture, and text cut to the room there is."""

import unicodedata

# units of a picture: all its text is of this size
FONT_SIZE = 12.0
# shares of the size, as wide as in the widest font that systems set by default (DejaVu Sans); others need less
_WIDE, _CAPITAL, _USUAL, _NARROW = 1.0, 0.79, 0.64, 0.41
_OF_KIND = {
    **dict.fromkeys("mwMW%@—…∞→", _WIDE),
    **dict.fromkeys("−+<>=±×÷~&", 0.84),
    **dict.fromkeys("iljftrI.,:;|!'()[]/ ·⁻⁰¹²³⁴⁵⁶⁷⁸⁹", _NARROW),
}


def text_width(said: str) -> float:
    """The width of a line of text in units of a picture: what it takes in the widest of the usual fonts."""
    return FONT_SIZE * sum(map(_letter, said))


def cut_to(said: str, room: float) -> str:
    """The text, or both ends of it where it is wider than the room: names often differ only in the last letters."""
    if text_width(said) <= room:
        return said
    for left_over in range(len(said) - 1, 1, -1):
        cut = f"{said[: left_over // 2]}…{said[-((left_over + 1) // 2) :]}"
        if text_width(cut) <= room:
            return cut
    return "…"


def _letter(letter: str) -> float:
    if letter in _OF_KIND:
        return _OF_KIND[letter]
    if letter <= "~":
        return _CAPITAL if letter.isupper() else _USUAL
    if unicodedata.combining(letter):
        return 0.0
    return _CAPITAL if unicodedata.east_asian_width(letter) in "NAH" else 1.1
