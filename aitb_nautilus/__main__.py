"""Run the command line as ``python -m aitb_nautilus``."""

import sys

from aitb_nautilus.cli import main

if __name__ == "__main__":
    sys.exit(main())
