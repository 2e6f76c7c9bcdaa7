"""`python -m millrace.gateway.containers`: deploy/gateway/nginx.conf, for the containers of docker-compose.yml.

The same configuration as on one machine, with the names and paths that the image of nginx and the network have.
"""

from pathlib import Path, PurePosixPath
from typing import Final

from millrace.gateway.configuration import Gateway, Upstream, nginx_configuration
from runtime.settings import Settings

PAGE: Final = Path(__file__).parents[2] / "deploy" / "gateway" / "nginx.conf"
CONTAINERS: Final = Gateway(
    host="0.0.0.0",
    port=8443,
    certificate=PurePosixPath("/run/secrets/gateway_certificate"),
    key=PurePosixPath("/run/secrets/gateway_key"),
    folder=PurePosixPath("/var/cache/nginx"),
    upstreams=(Upstream("api", 8080),),
    requests_per_s=Settings.model_fields["gateway_requests_per_s"].default,
    connections=Settings.model_fields["gateway_connections"].default,
)


def main() -> None:
    PAGE.write_text(nginx_configuration(CONTAINERS))


if __name__ == "__main__":
    main()
