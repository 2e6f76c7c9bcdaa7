"""Messages of ISO 20022, of any version and namespace: statements (camt.052–054) and payments (pacs, pain.001)."""
