"""Text of any script as runs of one font each, in the order in which they stand on paper.

FiraGO (embedded as far as it is used) has Latin, Greek, Cyrillic, Hebrew, Arabic, Thai, Georgian and Devanagari. For
Chinese, Japanese and Korean every PDF reader has fonts of its own. What neither knows is shown as a question mark.
"""

import io
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

import pymupdf_fonts
from arabic_reshaper import ArabicReshaper
from bidi import get_display
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

REGULAR: Final = "FiraGO"
BOLD: Final = "FiraGO-Bold"
UNKNOWN: Final = "?"
_KOREAN, _JAPANESE, _CHINESE = "HYSMyeongJo-Medium", "HeiseiMin-W3", "STSong-Light"
_EAST_ASIAN: Final = (
    (0x1100, 0x11FF, _KOREAN),
    (0x2E80, 0x303F, _CHINESE),
    (0x3040, 0x30FF, _JAPANESE),
    (0x3100, 0x312F, _CHINESE),
    (0x3130, 0x318F, _KOREAN),
    (0x31F0, 0x31FF, _JAPANESE),
    (0x3400, 0x9FFF, _CHINESE),
    (0xAC00, 0xD7A3, _KOREAN),
    (0xF900, 0xFAFF, _CHINESE),
    (0xFF01, 0xFFEF, _CHINESE),
)
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})


class Run(NamedTuple):
    """Characters of one font, from left to right."""

    font: str
    text: str


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    """Registers the fonts, once a process; the characters of FiraGO."""
    fonts = [
        TTFont(name, io.BytesIO(pymupdf_fonts.myfont(code))) for name, code in ((REGULAR, "figo"), (BOLD, "figbo"))
    ]
    for font in (*fonts, *(UnicodeCIDFont(name) for name in (_KOREAN, _JAPANESE, _CHINESE))):
        pdfmetrics.registerFont(font)
    return frozenset(fonts[0].face.charWidths) & frozenset(fonts[1].face.charWidths)


_reshaper: Final = ArabicReshaper()
"""Joins Arabic letters: FiraGO has a glyph for each of their forms."""


def runs(text: str, font: str = REGULAR) -> list[Run]:
    """The text in display order."""
    known = _known()
    shown = (_glyph(character, known, font) for character in _in_display_order(text))
    return [Run(name, "".join(run.text for run in same)) for name, same in groupby(shown, key=lambda run: run.font)]


def _in_display_order(text: str) -> Iterator[str]:
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        text = get_display(_reshaper.reshape(text))
    return iter(text)


def _glyph(character: str, known: frozenset[int], font: str) -> Run:
    if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
        return Run(font, " ")
    if unicodedata.category(character) in {"Cf", "Mn"} and ord(character) not in known:
        return Run(font, "")  # marks of direction and joiners have no shape of their own
    plain = unicodedata.normalize("NFKC", character)
    for candidate in (character, plain):
        if len(candidate) == 1 and ord(candidate) in known:
            return Run(font, candidate)
    east_asian = next((name for first, last, name in _EAST_ASIAN if first <= ord(character) <= last), None)
    return Run(east_asian, character) if east_asian is not None else Run(font, UNKNOWN)


def width(text: str, size: int, font: str = REGULAR) -> float:
    """In points."""
    return sum(pdfmetrics.stringWidth(run.text, run.font, size) for run in runs(text, font))


def wrapped(text: str, size: int, width_max: float, lines_max: int) -> list[str]:
    """Lines no wider than this, broken at spaces where there are some; … where more was left than fits."""
    rest = " ".join(text.split())
    lines: list[str] = []
    while rest and len(lines) < lines_max:
        line = _fitting(rest, size, width_max)
        lines.append(line)
        rest = rest[len(line) :].lstrip()
    if rest:
        lines[-1] = _fitting(lines[-1], size, width_max - width("…", size)) + "…"
    return lines


def _fitting(text: str, size: int, width_max: float) -> str:
    """As much of the text as fits, at least one character, up to a space where one is near its end."""
    end = len(text)
    while end > 1 and width(text[:end], size) > width_max:
        end = min(end - 1, int(end * width_max / width(text[:end], size)) + 1)
    if end == len(text):
        return text
    space = text.rfind(" ", end // 2, end + 1)
    return text[: space if space > 0 else end]
