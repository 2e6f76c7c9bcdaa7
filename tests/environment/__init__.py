"""The local environment: downloads, ports, accounts, supervision, and real servers started, crashed and stopped."""
