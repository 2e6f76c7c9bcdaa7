"""Kafka → Postgres: the ledger as tables. loop.py holds the guarantee, one file per target table the rows."""
