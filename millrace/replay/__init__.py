"""`millrace replay` and `millrace drift`: the balances of every account, rebuilt from the ledger at any point of it.

point (what --to means) → ledger (checked records up to there) → balances (added up) → tables (what Postgres shows at
the same point) → comparison → rebuild, drift (reports). decide is the other half: every decision, made again.
"""
