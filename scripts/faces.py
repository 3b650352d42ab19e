"""Draws the card's picture of faces: `python scripts/faces.py RUN DATA FILE.png [--columns label=NAME]`.

It is what the page of `hfmm reproduce facenet` begins with.
"""

import argparse

import hfmm
from hfmm.loading import load
from hfmm.reproduction.verification import told_apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("output")
    parser.add_argument("--columns")
    given = parser.parse_args()
    examples = hfmm.load_data(given.data, split="test", columns=given.columns)
    loaded = load(given.run)
    told_apart(loaded.model, loaded.processor, examples).save(given.output)


if __name__ == "__main__":
    main()
