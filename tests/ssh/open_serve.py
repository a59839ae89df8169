"""cit-serve as it is, but for the judgement: the contract of remotes is about refs and objects, not about records."""

from __future__ import annotations

import os
import sys

from citgit.programs.serve import main

if __name__ == "__main__":
    if os.environ.get("SSH_ORIGINAL_COMMAND", "").startswith("cit-serve"):
        from citgit.wiring import serve

        serve.admit = lambda *args, **options: None  # type: ignore[assignment]
    sys.exit(main())
