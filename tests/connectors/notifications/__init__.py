"""Notices to users: decided, rendered, sent over real SMTP and to sandboxes of providers."""
