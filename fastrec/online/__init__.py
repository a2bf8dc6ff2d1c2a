"""Kept up to date: a durable journal of events, and models that follow it while they are asked."""

import lazy_loader

# A server's settings need the plan of its schedule before anything heavy may be imported.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
