"""What Schemathesis is told beside the document: lines of NDJSON, and ids of things that are there.

Loaded by Schemathesis itself (SCHEMATHESIS_HOOKS). Half of the paths keep the generated id, so that what exists and
what does not are asked for.
"""

import json
import os
from typing import Any

import schemathesis

KNOWN_IDS: dict[str, str] = json.loads(os.environ.get("MILLRACE_FUZZ_IDS", "{}"))
"""By the name of the path parameter."""


@schemathesis.serializer("application/x-ndjson")
def _serialised(_context: Any, value: Any) -> bytes:
    return ndjson(value)


def ndjson(value: Any) -> bytes:
    """A list as a line each, all else as one line."""
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line, default=str).encode() + b"\n" for line in lines)


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Known ids in half of the cases, told by the generated text itself: a run with the same seed is the same run."""
    if not path_parameters:
        return path_parameters
    is_known = sum(str(path_parameters).encode()) % 2 == 0
    return {name: KNOWN_IDS.get(name, value) if is_known else value for name, value in path_parameters.items()}
