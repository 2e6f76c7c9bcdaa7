"""Entity tags (RFC 9110 §8.8.3): a change is made to what the caller has seen, or refused with 412.

The tag is a hash of the representation, so whatever a reader can see changes it.
"""

import hashlib
from typing import Any, Final

from ingest_api.http.call import Answer, Call
from ingest_api.problems import Fault, Problem

_DIGEST_BYTES: Final = 12

IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "ETag of the last look: refused with 412 where it has changed since",
}


def entity_tag(representation: bytes) -> str:
    """The strong tag of a representation."""
    return f'"{hashlib.blake2b(representation, digest_size=_DIGEST_BYTES).hexdigest()}"'


def tagged(answer: Answer) -> Answer:
    """The answer with the tag of its body."""
    return answer._replace(headers=[*answer.headers, (b"etag", entity_tag(answer.body).encode())])


def require_match(call: Call, representation: bytes) -> None:
    """Raises Problem 412 where the caller names tags and none is that of the present representation."""
    named = call.header(b"if-match")
    if named is None or named.strip() == "*":
        return
    if entity_tag(representation) not in {tag.strip() for tag in named.split(",")}:
        raise Problem(Fault.PRECONDITION_FAILED, "Look at it again, and send the ETag of that look as If-Match.")
