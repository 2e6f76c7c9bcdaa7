"""A browser without JavaScript: keeps cookies, follows redirects, sends what a form holds. Reads HTML strictly."""

from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import Element

import html5lib
import httpx

from ingest_api.http.serving import Application

HOST: Final = "https://millrace.test"


class Page:
    """One answer, as a reader sees it."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.path = answer.url.path
        self.query = parse_qs(urlsplit(str(answer.url)).query)
        self.tree: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(answer.text)
        self.text = _text(self.tree)

    def rows(self, caption: str) -> list[list[str]]:
        """Cells of the table of this caption, without its head."""
        [table] = [one for one in self.tree.iter("table") if caption in _text(one.find("caption"))]
        return [[_text(cell) for cell in row] for row in table.iterfind("tbody/tr")]

    def forms(self, action: str) -> list[Element]:
        """Those that send to a path which ends so."""
        return [form for form in self.tree.iter("form") if form.get("action", "").endswith(action)]

    def button(self, text: str) -> Element | None:
        """The first one that says so."""
        return next((one for one in self.tree.iter("button") if _text(one) == text), None)

    def link(self, text: str) -> str:
        """Where the first link of this text leads."""
        return next(one.get("href", "") for one in self.tree.iter("a") if _text(one) == text)


def _text(element: Element | None) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


class Browser:
    """One person's."""

    def __init__(self, app: Application) -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=HOST, follow_redirects=True, headers={"origin": HOST}
        )

    async def get(self, path: str) -> Page:
        return Page(await self.http.get(path))

    async def send(self, page: Page, action: str, fields: dict[str, str], files: Any = None) -> Page:
        """The first form of the page with this action, its hidden fields and what is typed."""
        form = page.forms(action)[0]
        hidden = {
            one.get("name", ""): one.get("value", "") for one in form.iter("input") if one.get("type") == "hidden"
        }
        return await self.post(form.get("action", ""), hidden | fields, files)

    async def post(self, path: str, fields: dict[str, str], files: Any = None) -> Page:
        return Page(await self.http.post(path, data=fields, files=files))

    async def signs_in(self, username: str, password: str, code: str = "", at: str = "/console") -> Page:
        asked = {"username": username, "password": password, "code": code}
        return await self.send(await self.get(at), "/sign-in", asked)
