"""Disputes (chargeback, evidence, win, loss) and what accounts owe after involuntary debits. Decided at the partition
of the merchant, or of the debtor.
"""
