"""How do all tests run? Properties without wall-time limits; the same examples each time in CI."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "hilnas",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("hilnas")
