"""The whole pipeline on real parts: commands in, crashes in between, `audit verify` at the end."""
