"""Properties are judged by their outcome, never by the clock of a shared machine."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
