"""Start-up of the command line: what every verb pays first."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.stage import median, stage

TIMES = 20


def measure(times: int = TIMES) -> dict[str, float]:
    """Milliseconds of whole processes, beside those of an interpreter that does nothing."""
    with stage() as place:
        found = {}
        for name, argv in {"cit --help ms": place.cit("--help"), "python ms": [sys.executable, "-c", ""]}.items():
            values = []
            for _ in range(times):
                began = time.monotonic()
                subprocess.run(argv, env=place.env, cwd=place.checkout, capture_output=True, check=True)
                values.append((time.monotonic() - began) * 1000)
            found[name] = median(values)
        return found
