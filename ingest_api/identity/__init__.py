"""Who calls: bearer tokens signed by the installation's own key. Nothing else in ingest_api reads a token."""
