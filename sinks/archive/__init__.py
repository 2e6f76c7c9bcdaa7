"""The log → files, exactly once: every archived topic as closed segments, each named by the offsets it covers."""
