"""Journals of any balanced legs, posted whole or not at all, and the entries of all accounts of a user.

The legs of the largest fit one body: payments/movements/journals.MAX_LEGS.
"""
