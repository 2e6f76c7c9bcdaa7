"""Who did what: every state-changing call and every change that matters for security, in a hash chain in Postgres."""
