"""Holds: authorise, raise, capture in parts, void. Decided at the payer's partition, which also lets them expire."""
