"""Models kept up to date: a durable journal of events, and models that follow it while they answer."""

import lazy_loader

# A server's settings need the schedule's plan before anything heavy may be imported.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
