"""Files, statements and lines of banks and providers in Postgres: taken whole, or not at all."""
