"""Personal data: what is sealed opens in its own place alone, is found by everybody's spelling, and can be erased."""
