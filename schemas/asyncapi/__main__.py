"""`python -m schemas.asyncapi [--check]`: docs/asyncapi.json, for generators and viewers.

With --check nothing is written, and a document that is behind exits 1.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from schemas.asyncapi.document import document

PAGE = Path(__file__).parents[2] / "docs" / "asyncapi.json"


def page() -> str:
    """The document as it is written."""
    return json.dumps(document(version("millrace")), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document, or with --check compare it. Exits 1 where it is behind."""
    if sys.argv[1:] not in ([], ["--check"]):
        raise SystemExit("usage: python -m schemas.asyncapi [--check]")
    if not sys.argv[1:]:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        raise SystemExit("docs/asyncapi.json is behind its sources: run `python -m schemas.asyncapi`")


if __name__ == "__main__":
    main()
