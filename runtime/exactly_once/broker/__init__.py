"""What the engine asks of a broker beyond the client library: its release, open transactions, and their repair."""
