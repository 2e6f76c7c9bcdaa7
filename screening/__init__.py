"""Sanctions lists and what stands on them: published files → Postgres → hits that somebody decides."""
