"""`python -m nst_core`: the command line, see `cli/main.py`."""

import sys

from nst_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
