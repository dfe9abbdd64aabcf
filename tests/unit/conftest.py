from __future__ import annotations

from hypothesis import settings

# How long an example takes says nothing: machines differ, and no test here is about time.
settings.register_profile("millrace", deadline=None)
settings.load_profile("millrace")
