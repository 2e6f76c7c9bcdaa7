"""Identity: users, logins, sessions, second factors."""
