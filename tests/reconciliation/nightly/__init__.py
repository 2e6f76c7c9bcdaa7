"""The plan, its times, the folder of files, and nights on Postgres."""
