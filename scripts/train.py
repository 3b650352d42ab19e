"""Entry for launchers: `accelerate launch scripts/train.py NAME ...` takes the arguments of `hfmm train`."""

import sys

from hfmm.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
