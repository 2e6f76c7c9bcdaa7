"""The cascade, its rules and what it calls broken."""
