"""Property tests draw the same cases every time and are not timed: the machine may be busy."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
