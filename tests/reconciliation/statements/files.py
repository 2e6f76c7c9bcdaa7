"""Where the samples lie, and how a test writes a file and reads it."""

from pathlib import Path

from reconciliation.statements.lines import Line, Statement
from reconciliation.statements.parse import Parsed, parsed
from reconciliation.statements.providers.profile import Profile

SAMPLES = Path(__file__).parents[1] / "samples"


def parse_text(folder: Path, text: str | bytes, profile: Profile | None = None) -> Parsed:
    """What becomes of a file with this content."""
    path = folder / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parsed(path, profile)


def only(result: Parsed) -> tuple[Statement, list[Line]]:
    """The one statement of a file that was taken."""
    assert result.status == "ok", result.reason
    (statement,) = result.statements
    return statement
