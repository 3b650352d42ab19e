"""Multiple-choice questions, such as ScienceQA's, as LLaVA asks them and answers them: QCM-LEA.

The question comes with its context and its choices; the answer is the lecture, the explanation, and `The answer is B.`
"""

from collections.abc import MutableMapping
from typing import Any

from hfmm.data.checks import check_text

LETTERS = "ABCDE"  # ScienceQA has no more choices
NO_CONTEXT = "N/A"
CONTEXT, LECTURE, SOLUTION, RIGHT = "hint", "lecture", "solution", "right"


def spell_out(example: MutableMapping[str, Any], notes: list[str]) -> None:
    """Turn the number of the right choice into words, and put the choices behind the question.

    Args:
        example: With `question`, `choices` and the number of one as `answer`, which becomes `right`; with `hint`,
            `lecture` and `solution` where there are some.
        notes: Gets what is wrong.
    """
    choices, right = example["choices"], example["answer"]
    check_text(example["question"], "question", notes)
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        notes.append("choices are not a list of texts")
    elif not 2 <= len(choices) <= len(LETTERS):
        notes.append(f"there are {len(choices)} choices: 2 to {len(LETTERS)} have a letter")
    elif isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(choices):
        notes.append(f"answer is {right!r}, which is none of the {len(choices)} choices")
    if notes:
        example["question"] = example["answer"] = "?"  # said above; the checks need not say it again
        return
    options = " ".join(f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    context = example.get(CONTEXT) or NO_CONTEXT
    reasons = [example.get(part) for part in (LECTURE, SOLUTION)]
    example[RIGHT] = right
    example["question"] = f"{example['question']}\nContext: {context}\nOptions: {options}"
    example["answer"] = " ".join([*filter(None, reasons), f"The answer is {LETTERS[right]}."])
