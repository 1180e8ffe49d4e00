"""``python -m lowkey`` is ``lowkey``."""

import sys

from lowkey.cli import main

if __name__ == "__main__":
    sys.exit(main())
