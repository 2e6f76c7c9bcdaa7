"""Notices to users, by e-mail, text message and push: what happened, in their words, when they want to be told.

public_events, audit_seals ─▶ planning (happenings → deciding) ─▶ notices ─▶ dispatcher (rendering) ─▶ channels.
The guarantee is `dispatcher.Dispatcher.run`.
"""
