"""An OIDC issuer as a process of its own: discovery document and JWKS over HTTP, counted. `python issuer.py` serves it.

The folder that it is given holds the JWKS; whoever writes another one there rotates its keys.
"""

import http.server
import json
import sys
from pathlib import Path


def serve(folder: Path) -> None:
    """Until killed. Its address stands in `address`, how often the JWKS was asked for in `asked`."""
    asked = 0

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal asked
            base = f"http://127.0.0.1:{server.server_address[1]}"
            if self.path == "/.well-known/openid-configuration":
                body = json.dumps({"issuer": base, "jwks_uri": f"{base}/jwks"}).encode()
            else:
                asked += 1
                (folder / "asked").write_text(str(asked))
                body = (folder / "jwks").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    partial = folder / "address.part"
    partial.write_text(f"http://127.0.0.1:{server.server_address[1]}")
    partial.rename(folder / "address")
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
