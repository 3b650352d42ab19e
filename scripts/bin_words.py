"""What bins of colors call for: a swatch for each bin of a counted run, with the words that its theta favors.

python scripts/bin_words.py runs/pmi_retrieval model_cards/images/pmi_retrieval.png
"""

import sys
from pathlib import Path

from PIL import Image

from hfmm.explanation.drawing import panels
from hfmm.loading import load

WORDS, COLUMNS, SIDE = 3, 8, 110


def main(run: Path, output: Path) -> None:
    """Draw the bins that pictures have, the most frequent first."""
    loaded = load(run)
    model, names = loaded.model, loaded.processor.tokenizer.convert_ids_to_tokens(range(loaded.model.config.vocab_size))
    order = model.picture_counts.argsort(descending=True)[: int((model.picture_counts > 0).sum())].tolist()
    swatches, texts = [], []
    for row in order:
        color = tuple(round(255 * level) for level in model.centers[row].tolist())
        swatches.append(Image.new("RGB", (SIDE, SIDE), color))
        favored = model.theta.weight[:, row].topk(WORDS).indices.tolist()
        texts.append(" ".join(names[word] for word in favored))
    panels(swatches, texts, columns=COLUMNS, side=SIDE).save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
