"""Sanctions screening in an API process: parties are named and screened, accounts blocked, hits decided by analysts."""
