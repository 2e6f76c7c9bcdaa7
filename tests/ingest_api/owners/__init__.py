"""Owners: who may do what to which account, on a real Postgres, with the partitions decided in memory."""
