"""Scores models that answer questions about pictures from a closed list."""

from typing import Any

from hfmm import metrics
from hfmm.data.columns import require
from hfmm.data.examples import Example, Examples
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.reading import replies
from hfmm.explanation.answering import answer_scores


def score_answers(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Answer every question by the likeliest answer; `vqa` is the task's own metric.

    A question whose answer is not in the model's list counts as wrong.

    Raises:
        UsageError: Another metric is asked for.
        DataError: The examples have no questions or answers.
    """
    check_metric(asked, "vqa", "model that answers questions")
    require(examples, ("image", "question", "answer"), "visual-question-answering")
    names = model.config.id2label

    def likeliest(batch: list[Example]) -> list[str]:
        images, questions = ([example[name] for example in batch] for name in ("image", "question"))
        return [names[number] for number in answer_scores(model, processor, images, questions).argmax(-1).tolist()]

    found, read = replies(model, processor, examples, likeliest, asked.processes)
    references = [example.get("answers") or [example["answer"]] for example in read]
    scores = metrics.load("vqa").compute(predictions=found, references=references)
    return Outcome(scores, [f"{row['question']} {said}" for row, said in zip(read, found, strict=True)], read)
