"""`millrace audit verify`: proves from the log alone, and against Postgres, that the books are right.

verify → partition_log (what was written) → replay (decide it again) and fold (add it up, without the rules of the core)
→ settlement, lanes, quarantine (what crosses shards) → tables (what Postgres shows) → report.
"""
