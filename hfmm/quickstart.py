"""What `hfmm quickstart` does: train, score, reload, describe, and write a page with pictures."""

import time
from pathlib import Path

from hfmm import data
from hfmm.evaluation import evaluate
from hfmm.explanation.captioning import explain_caption
from hfmm.explanation.page import write_page
from hfmm.training.journal import talk
from hfmm.training.run import train

NAME = "show_attend_tell"
SHOWN = 8  # pictures a section
SPLITS = {
    "test": "New pictures, color and shape seen together before",
    "test_heldout": "New pictures, one color and shape never seen together",
}


def quickstart(output_dir: Path, quiet: bool = False) -> Path:
    """Train a captioner on the built-in pictures and show what it learned.

    Args:
        output_dir: The run directory; a finished run in it is not trained again.
        quiet: Say nothing.

    Returns:
        The path of the page.
    """
    started = time.perf_counter()
    run = train(NAME, output_dir=output_dir, quiet=quiet)
    for split in SPLITS:
        talk(f"scoring 1,000 pictures of {split}", quiet)
        scores = evaluate(run.output_dir, split=split, generation={"num_beams": 1})[-1]["metrics"]
        talk(f"  exact_objects {scores['exact_objects']:.3f}  bleu_4 {scores['bleu_4']:.3f}", quiet)
    talk("reloading with from_pretrained and describing new pictures", quiet)
    model, processor = _reload(run.output_dir)
    sections = []
    for split, heading in SPLITS.items():
        examples = data.load("scenes", split=split, objects=(0.5, 0.5))
        rows = range(500, 500 + SHOWN)
        sections.append((heading, [explain_caption(model, processor, examples[row]["image"]) for row in rows]))
    seconds = time.perf_counter() - started
    lead = (
        f"Show, Attend and Tell with soft attention, trained on drawn pictures with one and two objects. "
        f"Each panel shows where the model looked when it said the word. This took {seconds:.0f} s."
    )
    page = write_page(run.output_dir, "A captioner that shows where it looks", lead, sections)
    talk(f"done in {seconds:.0f} s: open {page}", quiet)
    return page


def _reload(folder: Path) -> tuple[object, object]:
    """As any user of transformers would, after `import hfmm`."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    return AutoModelForImageTextToText.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
