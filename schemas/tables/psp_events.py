"""What the API and the connectors agree on about news from payment providers, which meet in the table psp_events."""

from datetime import timedelta
from typing import Final

REQUEST_ID: Final = "millrace_request_id"
"""Key of our request's id (hex) in the metadata that a provider keeps with what it makes, and shows in its events."""

HINT_LIFE: Final = timedelta(minutes=2)
"""How long news makes its request due: until it is parked by whoever has its shard. Then the plan of attempts holds."""
