"""Notices → texts: a title of one line, a body, and both as a page of HTML, in the user's language.

Templates are data of the installation: they run in a sandbox, a value that they name and that is missing is an error,
and values are escaped in HTML. Every one is rendered at the start, so that a wrong one is found by whoever wrote it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from payments.terms.wall_clock import zone_of
from schemas.tables.notifications import LANGUAGES, SECURITY, NoticeKind, Preferences

TITLE_CHARS_MAX: Final = 200
SUMMARY_LINES_MAX: Final = 100
_PACKAGE: Final = "connectors.notifications"
_SAMPLE: Final = {"amount": "1.00 EUR", "object": "pay_1", "account": "…1", "word": ""}


class TemplatesRefused(Exception):
    """A template is missing or wrong. `str()` says which."""


class Told(NamedTuple):
    """What a text is made of."""

    kind: NoticeKind
    happened_at: datetime
    details: Mapping[str, str]


class Text(NamedTuple):
    """What somebody reads."""

    title: str
    body: str
    html: str


class Renderer:
    """Texts of every kind in every language. Raises TemplatesRefused when it is made."""

    def __init__(self, folder: Path | None = None) -> None:
        loaders: list[BaseLoader] = [FileSystemLoader(folder)] if folder is not None else []
        loader = ChoiceLoader([*loaders, PackageLoader(_PACKAGE)])
        self._plain = _environment(loader, escapes=False)
        self._html = _environment(loader, escapes=True)
        try:
            self._words = {language: _words_of(language, folder) for language in LANGUAGES}
            for language in LANGUAGES:
                self._try_out(language)
        except (TemplateError, tomllib.TOMLDecodeError, KeyError, OSError, TypeError) as error:
            raise TemplatesRefused(f"templates of notices: {type(error).__name__}: {error}") from error

    def _try_out(self, language: str) -> None:
        preferences, now = Preferences(language=language), datetime.now(UTC)
        for kind in NoticeKind:
            self.page(Told(kind, now, _SAMPLE), preferences, "https://example.com")

    def page(self, told: Told, preferences: Preferences, unsubscribe_url: str = "", lines: Sequence[Told] = ()) -> Text:
        """An e-mail; a summary has lines."""
        words = self._words[preferences.language]
        closing = words["page"]["security" if told.kind in SECURITY else "sign_off"]
        shown, left = lines[:SUMMARY_LINES_MAX], len(lines) - SUMMARY_LINES_MAX
        fields = {"language": preferences.language, "unsubscribe": words["page"]["unsubscribe"], "closing": closing}
        more = self._plain.from_string(words["page"]["summary_more"]).render(more=left) if left > 0 else ""
        pages = []
        for environment, name in ((self._plain, "mail.txt"), (self._html, "mail.html")):
            title, body = self._sentences(environment, told, preferences, len(lines))
            titles = [self._sentences(environment, line, preferences)[0] for line in shown]
            page = environment.get_template(name)
            of_page = {"title": title, "body": body, "lines": titles, "more": more, "unsubscribe_url": unsubscribe_url}
            pages.append(page.render(fields | of_page))
        return Text(self._sentences(self._plain, told, preferences, len(lines))[0], *pages)

    def short(self, told: Told, preferences: Preferences) -> tuple[str, str]:
        """Title and body, for phones."""
        return self._sentences(self._plain, told, preferences)

    def _sentences(
        self, environment: ImmutableSandboxedEnvironment, told: Told, preferences: Preferences, count: int = 0
    ) -> tuple[str, str]:
        words = self._words[preferences.language]
        at = told.happened_at.astimezone(zone_of(preferences.zone)).strftime("%Y-%m-%d %H:%M %Z")
        word = told.details.get("word", "")
        details = {**told.details, "word": words["words"].get(word, word), "at": at, "count": count}
        sentences = words["notices"][told.kind]
        title, body = (environment.from_string(sentences[name]).render(details) for name in ("title", "body"))
        if environment.autoescape:
            return Markup(title), Markup(body)  # the sentences are ours, and the values in them are escaped  # nosec B704
        return " ".join(title.split())[:TITLE_CHARS_MAX], body


def _environment(loader: BaseLoader, *, escapes: bool) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(loader=loader, autoescape=escapes, undefined=StrictUndefined)


def _words_of(language: str, folder: Path | None) -> dict[str, Any]:
    """The package's words, and those of the installation in their place."""
    words = tomllib.loads(files(_PACKAGE).joinpath("templates", f"{language}.toml").read_text("utf-8"))
    own = folder / f"{language}.toml" if folder is not None else None
    for section, replaced in (tomllib.loads(own.read_text("utf-8")) if own and own.exists() else {}).items():
        words[section] = words[section] | replaced
    return words
