"""What forms send, in bounded memory: names and texts, and one document."""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from console.http.faults import Refused
from console.http.visits import Visitor
from reconciliation.breaks.desk import ATTACHMENT_BYTES_MAX

BODY_BYTES_MAX: Final = 16_384
"""As the API takes of one command."""

_FIELDS_MAX: Final = 100
_FORM: Final = "form"
_UPLOAD_BYTES_MAX: Final = ATTACHMENT_BYTES_MAX + BODY_BYTES_MAX

Fields = Mapping[str, str]


class Upload(NamedTuple):
    """A document as a browser sends it."""

    name: str
    media_type: str
    content: bytes


async def read_fields(request: Request) -> dict[str, str]:
    """Of a form without documents. Raises Refused."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise _too_large(BODY_BYTES_MAX)
    try:
        return dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
        )
    except ValueError:
        raise Refused(400, "The form can't be read", "Load the page again, then send it.") from None


async def own_fields(request: Request, visit: Visitor) -> Fields:
    """Of a form that one of our pages has shown to this session. Raises Refused."""
    fields = await read_fields(request)
    visit.require_own(fields.pop(_FORM, ""))
    return fields


async def own_upload(request: Request, visit: Visitor) -> tuple[Fields, Upload]:
    """Of a form with one document. Raises Refused."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or len(length) > len(str(_UPLOAD_BYTES_MAX)) or int(length) > _UPLOAD_BYTES_MAX:
        raise _too_large(ATTACHMENT_BYTES_MAX)
    try:
        parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=_FIELDS_MAX)
        form = await parser.parse()
    except (MultiPartException, KeyError):
        raise _no_document() from None
    try:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        visit.require_own(fields.pop(_FORM, ""))
        return fields, await _upload(form)
    finally:
        await form.close()


async def _upload(form: FormData) -> Upload:
    document = next((one for one in form.values() if isinstance(one, UploadFile)), None)
    if document is None or not document.filename:
        raise _no_document()
    media_type = (document.content_type or "").partition(";")[0].strip().lower()
    return Upload(document.filename, media_type or "application/octet-stream", await document.read())


def _no_document() -> Refused:
    return Refused(400, "There is no document", "Choose one file, then send the form again.")


def _too_large(limit_bytes: int) -> Refused:
    return Refused(413, "Too much at once", f"At most {limit_bytes:,} bytes.")


OwnFields = Annotated[Fields, Depends(own_fields)]
OwnUpload = Annotated[tuple[Fields, Upload], Depends(own_upload)]
