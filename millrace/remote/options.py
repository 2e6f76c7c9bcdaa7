"""Options that all commands over HTTP have. Imports nothing of the client: `millrace --help` stays quick."""

from typing import Annotated, NamedTuple

import typer

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="MILLRACE_URL", help="Of the API, without /v1; wins over the profile's."),
]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", "-p", envvar="MILLRACE_PROFILE", help="In profiles.toml; without one: default, or here."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Idempotency key: the same again moves money once. Default: a new one.")
]
Wait = Annotated[int | None, typer.Option("--wait", min=0, max=30, help="Seconds to wait for the final outcome.")]

FarUrl = Annotated[
    str | None,
    typer.Option("--url", envvar="MILLRACE_URL", help="Of an API, without /v1: over HTTP instead of here."),
]
FarProfile = Annotated[
    str | None,
    typer.Option("--profile", "-p", envvar="MILLRACE_PROFILE", help="In profiles.toml: over HTTP instead of here."),
]


class Where(NamedTuple):
    """Where a command looks that works here as well as over HTTP."""

    url: str | None
    profile: str | None

    @property
    def is_remote(self) -> bool:
        return self.url is not None or self.profile is not None
