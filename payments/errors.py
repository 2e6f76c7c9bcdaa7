"""The one tree of exceptions. A refusal is a value (rejections.Reason), never an exception.

MillraceError
├── InvariantViolation      a bug or tampering: the process must stop, nothing may be committed
├── UndecodableRecord       bytes that are no record of the contract: quarantine (commands) or stop (packed records)
└── Unavailable             a transient fault outside: retry with a bound
"""


class MillraceError(Exception):
    """Root of every exception raised by Millrace itself."""


class InvariantViolation(MillraceError):
    """Something that can't be true is: stop loudly and commit nothing."""


class UndecodableRecord(MillraceError):
    """A record whose bytes do not follow its schema."""


class Unavailable(MillraceError):
    """A part we depend on does not answer in time."""
