"""`millrace demo`: 29,961 real payments through the whole pipeline, with or without crashes, and a proof at the end."""
