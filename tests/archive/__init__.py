"""The archive: written by the real archiver from a real broker, read by audit and replay after records were deleted."""
