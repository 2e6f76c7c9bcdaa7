"""Webhooks: what is queued in Postgres goes to its endpoints by HTTP, signed, in the order of each object.

The guarantee is `dispatcher.Dispatcher.run`; what is queued, and for whom, is decided in sinks/events.
"""
