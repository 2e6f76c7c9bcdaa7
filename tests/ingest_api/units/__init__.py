"""The parts of the HTTP side that need no broker and no Postgres, each by itself."""
