"""payments.events → Postgres: events to look up, and deliveries to the webhook endpoints that want them.

The guarantee is `loop.flush_batch`; whoever sends the deliveries reads the tables.
"""
