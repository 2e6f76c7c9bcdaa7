"""Logins and how long they last: refresh tokens, access tokens of a session, revocation."""
