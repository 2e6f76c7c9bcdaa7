"""Files of banks and providers → typed lines with their place in the file. One parser a format."""
