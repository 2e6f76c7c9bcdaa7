"""Options that all commands over HTTP have. Imports nothing of the client: `millrace --help` stays quick."""

from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option("--url", help="Of the API, without /v1; wins over the profile's.")]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", "-p", envvar="MILLRACE_PROFILE", help="In profiles.toml; without one: default, or here."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Idempotency key: the same again moves money once. Default: a new one.")
]
Wait = Annotated[int | None, typer.Option("--wait", min=0, max=30, help="Seconds to wait for the final outcome.")]
