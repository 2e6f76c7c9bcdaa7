"""Banks: whoever is registered with POST /v1/external-banks is called over one small REST protocol (docs/people.md)."""
