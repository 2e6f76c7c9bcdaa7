"""The first kilobytes of a file → its format. A file's name says nothing: banks send camt as .txt."""

import re

from reconciliation.statements.iso20022 import camt, payments
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, head_text

_MESSAGES = camt.MESSAGES | payments.MESSAGES
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z]\w*)")
_VERSION = re.compile(r"V\d\d$")
"""Version 1 of a message has its version in the name of its element: BkToCstmrAcctRptV01."""
_ARCHIVES = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"7z\xbc\xaf", "7-Zip"), (b"\xfd7zXZ", "xz"), (b"Rar!", "RAR"))
_SWIFT_TAG = re.compile(r"^\s?:(?:NS|\d\d[A-Z]?)[:=]", re.MULTILINE)
_SWIFT_BLOCK = re.compile(r"\{1:[FAL]\d\d[A-Z0-9]{12}")
_MT942 = re.compile(r"^:(?:34F|90[CD]):|\{2:[OI]942", re.MULTILINE)
_NACHA = re.compile(r"1?101[ \d]\d{8}[^,;\n]{40,}|[5-8]\d{2}[^\n]{88,91}\r?(?:\n|$)")
_FEDWIRE = re.compile(r"\{(?:11|15)\d0\}")
_BAI2 = re.compile(r"\s*01\s*,[^\n]*")


def format_of(source: Source) -> str:
    """Name of the format, "csv" and "json" for tables whose columns will tell. Raises Refused."""
    head = source.head
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    for magic, name in _ARCHIVES:
        if head.startswith(magic):
            raise Refused(Reason.ARCHIVE, f"the file is packed ({name}); unpack it first")
    text = head_text(source)
    if text.lstrip().startswith("<") or text.lstrip().startswith("OFXHEADER"):
        return _markup(text)
    return _plain(text)


def _markup(text: str) -> str:
    if "<!DOCTYPE" in text.upper():
        raise Refused(Reason.DOCTYPE, "the file declares a DOCTYPE; no statement has one")
    if text.lstrip().startswith("OFXHEADER") or re.search(r"<\?OFX|<OFX>", text):
        return "ofx"
    names = _ELEMENT.findall(text)
    for name in names:
        if message := _MESSAGES.get(_VERSION.sub("", name)):
            return message
    if not names:
        raise Refused(Reason.XML_INVALID, "the file begins like XML, but has no element")
    inside = names[names.index("Document") + 1 :] if "Document" in names else names
    if not inside:
        raise Refused(Reason.NO_STATEMENT, "the document is empty: it has no message in it")
    known = ", ".join(sorted(set(_MESSAGES.values())))
    raise Refused(Reason.MESSAGE_UNKNOWN, f"<{inside[0]}> is no message that is read here ({known})")


def _plain(text: str) -> str:
    first = text.lstrip()
    if _BAI2.match(first) and re.match(r"01\s*,", first):
        return "bai2"
    if _FEDWIRE.match(first):
        return "fedwire"
    if _SWIFT_BLOCK.match(first) or _SWIFT_TAG.search(text[:4_096]):
        return "mt942" if _MT942.search(text) else "mt940"
    if _NACHA.match(first):
        return "nacha"
    if first[:1] in "{[":
        return "json"
    if "," in text or ";" in text or "\t" in text:
        return "csv"
    raise Refused(Reason.UNKNOWN_FORMAT, "the content is of no format that is read here")
