"""How a log record becomes lines: the one place, for every process, so that no secret and no card number is logged.

Writes to stderr. What is masked: card numbers, IBANs, tokens, keys and passwords, in messages, arguments, exceptions
and tracebacks, those of libraries and of uncaught exceptions included. Nothing that a caller sent begins a record.
"""

import logging
import re
import sys
import threading
from types import TracebackType
from typing import Final

from runtime.personal_data.card_numbers import without_card_numbers
from runtime.personal_data.ibans import is_iban

_SECRET: Final = "[secret]"
_CONTINUED: Final = "\n    "
_CHARS_MAX: Final = 32_768
"""Of a record with its traceback; of a longer one the middle is left out."""
_PLAIN: Final = "%(asctime)s %(levelname)s %(message)s"
_NAMED: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"

_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[0-9A-Za-z]{4}){2,7}(?:[ -]?[0-9A-Za-z]{1,3})?\b"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SECRETS: Final = (
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*"), _SECRET),  # a JWT
    (re.compile(r"(mk_[0-9a-f]{12}_|mrt_|mcs_|whsec_|[sr]k_(?:live|test)_)[\w=+/-]{8,}"), rf"\1{_SECRET}"),
    (re.compile(r"(?i)\b(bearer|basic) (?=\S*[0-9])[\w.~+/=-]{8,}"), rf"\1 {_SECRET}"),
    (re.compile(r"(?<=://)[^/\s:]*:[^/\s]+(?=@)"), _SECRET),
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|token|api_?key|otp)(?:=|[\"']\s*[:=]\s*))"
            r"(?:\"[^\"]*\"|'[^']*'|(?!\[secret)[^\s\"'&,;)}]+)"
        ),
        rf"\1{_SECRET}",
    ),
)


def redacted(text: str) -> str:
    """The text without what must not be shown to whoever may read it: 15 µs for a usual line."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return without_card_numbers(_IBAN.sub(_masked_iban, text), "[card number]")


def _masked_iban(found: re.Match[str]) -> str:
    compact = re.sub("[ -]", "", found.group()).upper()
    return "[IBAN]" if is_iban(compact) else found.group()


class LogLine(logging.Formatter):
    """A formatter that masks, and indents what a message has behind its first line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        shown = _CONTROL.sub(lambda found: repr(found.group())[1:-1], record.message)
        record.message = shown.replace("\n", _CONTINUED)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        text, half = super().format(record), _CHARS_MAX // 2
        left_out = len(text) - _CHARS_MAX
        return redacted(f"{text[:half]} … {left_out} characters … {text[-half:]}" if left_out > 0 else text)


def log_to_stderr(level: int = logging.INFO, *, with_name: bool = True) -> None:
    """Every logger of this process, and what ends it, goes to stderr by these rules."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLine(_NAMED if with_name else _PLAIN))
    logging.basicConfig(level=level, handlers=[handler])
    sys.excepthook = _log_end
    threading.excepthook = lambda ended: _log_end(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _log_end(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("millrace").critical("ended by an error", exc_info=(kind, error, trace))
