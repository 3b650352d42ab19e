"""Made-up captions for the metrics' tests: words of a small vocabulary, so that n-grams agree now and then."""

import random

VOCABULARY = ["a", "the", "dog", "cat", "man", "ball", "on", "in", "of", "red", "blue", "small"]
VOCABULARY += ["runs", "sits", "with", "and", "street", "park", "two", "grass"]


def samples(count, seed=0, longest=14, most_references=5):
    """Predictions and references; the predictions partly copied from a reference."""
    draw = random.Random(seed)

    def caption():
        return draw.choices(VOCABULARY, k=draw.randint(1, longest))

    predictions, references = [], []
    for _ in range(count):
        texts = [caption() for _ in range(draw.randint(1, most_references))]
        said = [word if draw.random() < 0.7 else draw.choice(VOCABULARY) for word in draw.choice(texts)]
        predictions.append(" ".join(said[: draw.randint(1, longest)]))
        references.append([" ".join(text) for text in texts])
    return predictions, references


def awkward_samples(count, seed=0):
    """The same, with empty captions, single words, repeated words, stray spaces, tabs and letters of all sorts."""
    draw = random.Random(seed)
    predictions, references = samples(count, seed)

    def spoil(text):
        odd = ["", " ", "a", "a a a a a", f"{text} ", f" {text}", "the  dog", "a\tcat", "caf\u00e9 \u2013"]
        return draw.choice([text] * 6 + odd)

    return [spoil(text) for text in predictions], [[spoil(text) for text in texts] for texts in references]
