"""`python -m hfmm`, and `accelerate launch -m hfmm`."""

import sys

from hfmm.cli import main

if __name__ == "__main__":
    sys.exit(main())
