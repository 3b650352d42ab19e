"""Speed of the caption metrics against pycocoevalcap (coco-caption), at equal scores.

    OMP_NUM_THREADS=1 python scripts/benchmarks/metrics.py [--captions 5000] [--repeats 3] [--json FILE]

Scoring: BLEU-1 to 4, ROUGE-L and CIDEr of tokenized captions with five references each, `hfmm.metrics.load("caption")`
against pycocoevalcap's three scorers, in turns in one process, in CPU seconds of the process. Words are drawn from
8,000 with Zipf's frequencies, captions have 8 to 13 of them, and share about 60 % with a common base.

Tokenizing: the same references, capitalized and with a period, by `tokenizer="ptb"` with nothing remembered from before
and by coco-caption's tokenizer, a Java program: so in seconds on the clock.
"""

import argparse
import json
import random
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from hfmm import metrics
from hfmm.device import hardware
from hfmm.metrics import ptb

VOCABULARY, REFERENCES = 8000, 5
PEER = "pycocoevalcap"


class Captions:
    """Made captions: predictions, and references that resemble them."""

    def __init__(self, count: int) -> None:
        self.draw = random.Random(0)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.vocabulary = ["".join(self.draw.choices(letters, k=self.draw.randint(2, 8))) for _ in range(VOCABULARY)]
        self.weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
        bases = [self._words(self.draw.randint(8, 13)) for _ in range(count)]
        self.predictions = [self._like(base) for base in bases]
        self.references = [[self._like(base) for _ in range(REFERENCES)] for base in bases]

    def _words(self, count: int) -> list[str]:
        return self.draw.choices(self.vocabulary, cum_weights=self.weights, k=count)

    def _like(self, base: list[str]) -> str:
        return " ".join(word if self.draw.random() < 0.6 else self._words(1)[0] for word in base)


def ours(captions: Captions) -> dict[str, float]:
    """The scores in one pass."""
    given = {"predictions": captions.predictions, "references": captions.references}
    return metrics.load("caption").compute(**given, meteor=False)


def theirs(captions: Captions) -> dict[str, float]:
    """The same by pycocoevalcap."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    truth = dict(enumerate(captions.references))
    said = {number: [text] for number, text in enumerate(captions.predictions)}
    bleu = Bleu(4).compute_score(truth, said, verbose=0)[0]
    scores = {f"bleu_{order}": score for order, score in enumerate(bleu, 1)}
    scores["rouge_l"] = float(Rouge().compute_score(truth, said)[0])
    return {**scores, "cider": float(Cider().compute_score(truth, said)[0])}


def tokenize_here(texts: list[str]) -> list[str]:
    """Tokenize with an empty memory."""
    ptb.words_of_chunk.cache_clear()
    return ptb.tokenize(texts)


def tokenize_there(texts: list[str]) -> list[str]:
    """The same by Java."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    found = PTBTokenizer().tokenize({number: [{"caption": text}] for number, text in enumerate(texts)})
    return [found[number][0] for number in range(len(texts))]


def meteor_here(captions: Captions) -> float:
    """METEOR of the corpus."""
    scores = metrics.load("meteor").compute(predictions=captions.predictions, references=captions.references)
    return float(scores["meteor"])


def meteor_there(captions: Captions) -> float:
    """The same by Java, started anew as pycocoevalcap does for a data set."""
    from pycocoevalcap.meteor.meteor import Meteor

    program = Meteor()
    said = {number: [text] for number, text in enumerate(captions.predictions)}
    score = program.compute_score(dict(enumerate(captions.references)), said)[0]
    program.meteor_p.kill()
    return float(score)


def race(
    runners: Mapping[str, Callable[[Any], Any]], work: Any, repeats: int, clock: Callable[[], float]
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Results and seconds of each, in turns after one round that does not count."""
    results: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(repeats + 1):
        for name, run in runners.items():
            started = clock()
            results[name] = run(work)
            if turn:
                seconds[name].append(clock() - started)
    return results, seconds


def report(title: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Print medians and the ratio, and return them."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        print(f"{title:10} {name:14} {medians[name]:8.3f} s   ({min(times):.3f} to {max(times):.3f})")
    figures: dict[str, Any] = {"seconds": medians, "turns": seconds}
    if PEER in medians:
        figures["ratio"] = medians[PEER] / medians["hfmm"]
        print(f"{title:10} hfmm is {figures['ratio']:.1f} times as fast")
    return figures


def has_peer() -> bool:
    """Whether pycocoevalcap is installed; says how to install it if not."""
    try:
        import pycocoevalcap.cider.cider  # noqa: F401
    except ImportError:
        print(f'{PEER} is not installed: pip install "hfmm[bench]"', file=sys.stderr)
        return False
    return True


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=5000, help="how many predictions (default 5000)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    captions, peer = Captions(arguments.captions), has_peer()
    print(f"{hardware()}; {arguments.captions} captions x {REFERENCES} references, median of {arguments.repeats}")
    scorers = {"hfmm": ours, **({PEER: theirs} if peer else {})}
    scores, seconds = race(scorers, captions, arguments.repeats, time.process_time)
    figures: dict[str, Any] = {"hardware": hardware(), "captions": arguments.captions}
    figures["scoring"] = report("scoring", seconds)
    if peer:
        apart = max(abs(scores["hfmm"][key] - score) for key, score in scores[PEER].items())
        figures["scoring"]["largest_difference"] = apart
        print(f"scoring    largest difference of a score {apart:.1e}")
    texts = [f"{text.capitalize()}." for references in captions.references for text in references]
    java = peer and shutil.which("java") is not None
    if peer and not java:
        print("Java is not installed: apt install default-jre-headless", file=sys.stderr)
    tokenizers = {"hfmm": tokenize_here, **({PEER: tokenize_there} if java else {})}
    words, seconds = race(tokenizers, texts, arguments.repeats, time.perf_counter)
    figures["tokenizing"] = report("tokenizing", seconds)
    if java:
        differing = sum(a != b for a, b in zip(words["hfmm"], words[PEER], strict=True))
        figures["tokenizing"]["captions_that_differ"] = differing
        print(f"tokenizing {differing} of {len(texts)} captions differ")
    if java:
        scores, seconds = race(
            {"hfmm": meteor_here, PEER: meteor_there}, captions, arguments.repeats, time.perf_counter
        )
        figures["meteor"] = report("meteor", seconds)
        figures["meteor"]["difference"] = abs(scores["hfmm"] - scores[PEER])
        print(f"meteor     difference of the score {figures['meteor']['difference']:.1e}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
