"""Public events over HTTP: the catch-up for webhooks that were missed."""
