"""Refunds of payments that a merchant received, or that came in by a method. Those of payment orders, which a provider
gives back, are in commerce.
"""
