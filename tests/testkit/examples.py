"""How Hypothesis runs all tests: no verdict depends on how fast the machine is.

`tests/conftest.py` loads `PROFILE`. A test that wants another number of examples says only that.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

PROFILE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: For tests whose examples share a fixture on purpose, a folder as a rule.
SHARED_FIXTURES = settings(
    PROFILE,
    suppress_health_check=[*PROFILE.suppress_health_check, HealthCheck.function_scoped_fixture],
)

#: How long the fuzz run is: so many examples of each kind.
N_FUZZ_EXAMPLES = int(os.environ.get("CPR_FUZZ_EXAMPLES", "150"))
FUZZ = settings(SHARED_FIXTURES, max_examples=N_FUZZ_EXAMPLES)
