"""Hypothesis draws the same examples in each run, so that whether a change passes does not hang on luck.

`pytest --hypothesis-profile explore` looks for new ones.
"""

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine is no fault
settings.register_profile("explore", derandomize=False, max_examples=300, deadline=None)
settings.load_profile("same")
