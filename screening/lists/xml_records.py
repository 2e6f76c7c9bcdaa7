"""A list in XML, one record at a time: memory for one entry, whatever the size of the file.

Reads bytes. A document type is refused before anything of it is read, and with it every entity, internal or external:
no list has one, and each known attack on XML parsers needs one.
"""

from collections.abc import Collection, Iterator
from typing import BinaryIO, NamedTuple
from xml.etree.ElementTree import Element
from xml.parsers import expat

from screening.lists.published import DOWNLOAD_AGAIN, ListRefused

CHUNK_BYTES = 65_536
RECORD_ELEMENTS_MAX = 20_000
"""The longest entries have about 1,000; without a limit a file that never closes one would fill the memory."""


class Record(NamedTuple):
    """One entry as the file has it. Tags are without their namespace."""

    element: Element
    line: int


def xml_records(stream: BinaryIO, file: str, root: str, tags: Collection[str]) -> Iterator[Record]:
    """The elements with one of these tags, in order. Raises ListRefused for what is not such a list."""
    reader = _Reader(file, root, tags)
    while chunk := stream.read(CHUNK_BYTES):
        yield from reader.feed(chunk, is_last=False)
    yield from reader.feed(b"", is_last=True)


class _Reader:
    def __init__(self, file: str, root: str, tags: Collection[str]) -> None:
        self._file, self._root, self._tags = file, root, frozenset(tags)
        self._open: list[Element] = []
        self._elements = 0
        self._started_at = 0
        self._depth = 0
        self._done: list[Record] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_document_type

    def feed(self, chunk: bytes, *, is_last: bool) -> list[Record]:
        """The records that end in this chunk."""
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            said = expat.errors.messages[error.code]
            raise ListRefused(self._file, error.lineno, f"no well-formed XML ({said})", DOWNLOAD_AGAIN) from error
        done, self._done = self._done, []
        return done

    def _refuse(self, wrong: str) -> ListRefused:
        return ListRefused(self._file, self._parser.CurrentLineNumber, wrong, DOWNLOAD_AGAIN)

    def _refuse_document_type(self, name: str, *_: object) -> None:
        raise self._refuse(f"it declares a document type ({name}), which no list does")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if self._depth == 0 and tag != self._root:
            raise self._refuse(f"the outermost element is <{tag}>, expected <{self._root}>")
        self._depth += 1
        if self._open:
            self._elements += 1
            if self._elements > RECORD_ELEMENTS_MAX:
                raise self._refuse(f"an entry of more than {RECORD_ELEMENTS_MAX} elements")
            child = Element(tag, attributes)
            self._open[-1].append(child)
            self._open.append(child)
        elif tag in self._tags:
            self._elements, self._started_at = 1, self._parser.CurrentLineNumber
            self._open.append(Element(tag, attributes))

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._open:
            closed = self._open.pop()
            if not self._open:
                self._done.append(Record(closed, self._started_at))

    def _text(self, text: str) -> None:
        if self._open and not len(self._open[-1]):
            self._open[-1].text = (self._open[-1].text or "") + text


def text_of(element: Element, path: str) -> str:
    """The text of the first such descendant, white space evened; empty where there is none."""
    return " ".join((element.findtext(path) or "").split())


def texts_of(element: Element, path: str) -> tuple[str, ...]:
    """The distinct non-empty texts of all such descendants, in order."""
    texts = (" ".join((one.text or "").split()) for one in element.iterfind(path))
    return tuple(dict.fromkeys(text for text in texts if text))
