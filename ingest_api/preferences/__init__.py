"""What users want to be told, on which devices, and what they were told; for operators what could not be told."""
