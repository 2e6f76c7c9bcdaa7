"""Scheduled transfers on a real broker and Postgres: each occurrence is paid once, whatever happens."""
