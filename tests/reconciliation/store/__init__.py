"""Files of banks and providers in Postgres."""
