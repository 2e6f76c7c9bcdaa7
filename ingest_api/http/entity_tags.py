"""Entity tags (RFC 9110 §8.8.3): a change is made to what the caller has seen, or refused with 412.

The tag is a hash of the representation, so whatever a reader can see changes it.
"""

import hashlib
from typing import Final

from ingest_api.http.call import Answer, Call
from ingest_api.problems import Fault, Problem

_DIGEST_BYTES: Final = 12


def entity_tag(representation: bytes) -> str:
    """The strong tag of a representation."""
    return f'"{hashlib.blake2b(representation, digest_size=_DIGEST_BYTES).hexdigest()}"'


def tagged(answer: Answer, representation: bytes | None = None) -> Answer:
    """The answer with the tag of its body, or of this where the body shows more than a change is made to."""
    tag = entity_tag(answer.body if representation is None else representation)
    return answer._replace(headers=[*answer.headers, (b"etag", tag.encode())])


def require_match(call: Call, representation: bytes) -> None:
    """Raises Problem 412 where the caller names tags and none is that of the present representation."""
    named = call.header(b"if-match")
    if named is None or named.strip() == "*":
        return
    if entity_tag(representation) not in {tag.strip() for tag in named.split(",")}:
        raise changed_since()


def changed_since() -> Problem:
    """412."""
    return Problem(Fault.PRECONDITION_FAILED, "Look at it again, and send the ETag of that look as If-Match.")
