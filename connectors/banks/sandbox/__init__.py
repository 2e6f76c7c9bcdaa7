"""A bank for the local machine: keeps every account and transfer, moves nobody's money, breaks where told to."""
