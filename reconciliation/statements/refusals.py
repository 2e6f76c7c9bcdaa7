"""Why a file is not taken: one word each, the public reason of `millrace statements parse` and of the quarantine."""

from enum import StrEnum


class Reason(StrEnum):
    """The word that a refusal begins with."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    UNKNOWN_FORMAT = "unknown_format"
    ARCHIVE = "archive"
    NUL_BYTES = "nul_bytes"
    LINE_TOO_LONG = "line_too_long"
    DOCTYPE = "doctype"
    XML_INVALID = "xml_invalid"
    TOO_LARGE = "too_large"
    MESSAGE_UNKNOWN = "message_unknown"
    NO_STATEMENT = "no_statement"
    CUT_OFF = "cut_off"
    STRUCTURE = "structure"
    CONTROL_TOTAL = "control_total"
    AMOUNT = "amount"
    CURRENCY = "currency"
    DATE = "date"
    FIELD = "field"
    COLUMNS = "columns"
    PROFILE = "profile"


class Refused(Exception):
    """A file or a line of it is not taken. Readers of a line turn it into a BadLine, the door into a refused file."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(f"{reason}: {sentence}")
        self.reason = reason
