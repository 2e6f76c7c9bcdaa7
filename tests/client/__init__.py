"""The Python client, without a server: its core on plain values, its clients over a transport of the test."""
