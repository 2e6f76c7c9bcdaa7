"""Accounts as callers change them: opened for their owners, frozen, closed, limited. Decided at the partitions."""
