"""What users choose to be told, over HTTP."""
