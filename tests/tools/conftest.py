"""The tests of the developer's tools: the same hypothesis settings as the core's, and for the same reasons."""

from hypothesis import settings

settings.register_profile("tools", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("tools")
