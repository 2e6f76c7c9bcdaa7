"""The passes of the cascade that look for what belongs together without a shared id."""
