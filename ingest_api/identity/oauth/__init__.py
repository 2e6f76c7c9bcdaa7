"""The token endpoint (RFC 6749), its clients, and what it publishes about itself."""
