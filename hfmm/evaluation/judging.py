"""Answers to open questions, what a judge says of them, and the relative score: LLaVA-Bench's three steps.

A judge is another model, or a file of scores that one outside has given.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hfmm import metrics
from hfmm.data.images import decode
from hfmm.data.open_questions import OpenQuestion, find_pictures, read_open_questions, rows_of
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import noted, run_recipe
from hfmm.explanation.dialogue import Talk, reply
from hfmm.files import write_atomically
from hfmm.loading import Loaded, load
from hfmm.results import by_command

ANSWERS, REVIEWS = "answers.jsonl", "reviews.jsonl"
MOST_TOKENS = 512  # of an answer, and of a review
_SCORES = re.compile(r"\s*(\d+(?:\.\d+)?)[ ,]+(\d+(?:\.\d+)?)\s*")

Judge = Callable[[str], str]  # from a prompt to a review


class Review(NamedTuple):
    """What a judge says of an answer.

    Attributes:
        question_id: Of the question.
        category: Of the question.
        reference: Score of the reference answer.
        answer: Score of the model's answer.
    """

    question_id: str
    category: str
    reference: float
    answer: float


def answer_questions(
    loaded: Loaded, questions: Sequence[OpenQuestion], pictures: Path, max_new_tokens: int = MOST_TOKENS
) -> list[dict[str, Any]]:
    """Answer each question in a conversation of its own, as likely as possible.

    Args:
        loaded: A model that converses about pictures.
        questions: What to answer.
        pictures: The folder of their pictures.
        max_new_tokens: Of an answer, at most.

    Returns:
        Of each question `question_id`, `image`, `category`, `prompt` (the question), `text` (the answer), `model_id`,
        and `review_prompt`, what a judge is to be sent.

    Raises:
        UsageError: The model does not converse.
        DataError: A picture is missing or cannot be read.
    """
    if loaded.row.tasks[0] != "image-text-to-text":
        raise UsageError(f"{loaded.row.name} does not answer open questions: its task is {loaded.row.tasks[0]}")
    paths = find_pictures(questions, pictures)
    rows = []
    for question in questions:
        talk = Talk([], name=question.id).asked(question.text, [decode(paths[question.image])])
        (said,) = reply(loaded.model, loaded.processor, [talk], max_new_tokens=max_new_tokens, do_sample=False)
        rows.append(
            {
                "question_id": question.id,
                "image": question.image,
                "category": question.category,
                "prompt": question.text,
                "text": said,
                "model_id": Path(loaded.where).name,
                "review_prompt": question.review_prompt(said),
            }
        )
    return rows


def judge_of(where: str | Path, device: str = "cpu", max_new_tokens: int = MOST_TOKENS) -> Judge:
    """A language model as a judge, loaded from safetensors; its chat template is used where it has one.

    Raises:
        UsageError: There is no such model.
    """
    if not Path(where).is_dir() and len(Path(where).parts) != 2:
        raise UsageError(f"{where}: no such judge: name a file of scores (.jsonl), a language model's folder or Hub id")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(where)
        model: Any = AutoModelForCausalLM.from_pretrained(where, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise UsageError(f"{where} is no language model that can judge ({' '.join(str(error).split())})") from error

    model.to(device)

    def review(prompt: str) -> str:
        if tokenizer.chat_template:
            talk = [{"role": "user", "content": prompt}]
            inputs = tokenizer.apply_chat_template(
                talk, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        else:
            inputs = tokenizer(prompt, return_tensors="pt")
        inputs = {name: inputs[name].to(device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        said: str = tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return said

    return review


def judge_answers(
    judge: Judge, questions: Sequence[OpenQuestion], answers: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Let a judge review every answer.

    Returns:
        Of each question `question_id`, `category`, `content` (the review) and `tuple` (the scores of the reference
        answer and of the model's; [-1, -1] where the review does not begin with two numbers).

    Raises:
        DataError: A question has no answer.
    """
    said = {str(row["question_id"]): row["text"] for row in answers}
    rows = []
    for question in questions:
        if question.id not in said:
            raise DataError(f"question {question.id} has no answer")
        review = judge(question.review_prompt(said[question.id]))
        scores = list(read_review(review) or (-1.0, -1.0))
        rows.append({"question_id": question.id, "category": question.category, "content": review, "tuple": scores})
    return rows


def read_review(text: str) -> tuple[float, float] | None:
    """The two scores that a review begins with, of the reference answer and of the other; None where it does not."""
    found = _SCORES.fullmatch(text.partition("\n")[0])
    return None if found is None else (float(found[1]), float(found[2]))


def reviews_of(rows: Sequence[dict[str, Any]], questions: Sequence[OpenQuestion], called: str) -> list[Review]:
    """Check that a judge has scored every question once.

    Args:
        rows: With `question_id` and `tuple`, as [`judge_answers`] makes them.
        questions: All that were asked.
        called: What errors call the rows.

    Raises:
        DataError: It has not.
    """
    categories = {question.id: question.category for question in questions}
    found: dict[str, Review] = {}
    unread = []
    for row in rows:
        name, scores = str(row["question_id"]), row["tuple"]
        if name not in categories:
            raise DataError(f"{called}: question {name} was not asked")
        if name in found:
            raise DataError(f"{called}: question {name} has two reviews")
        if (
            not isinstance(scores, list)
            or len(scores) != 2
            or not all(isinstance(score, int | float) for score in scores)
        ):
            raise DataError(f"{called}: the scores of question {name} are {scores!r:.40}, not those of two answers")
        if min(scores) < 0:
            unread.append(name)
        found[name] = Review(name, categories[name], *scores)
    missing = [name for name in categories if name not in found]
    for names, what in ((missing, "have no review"), (unread, "have a review that does not begin with two scores")):
        if names:
            raise DataError(f"{called}: {len(names)} of {len(categories)} questions {what}, the first is {names[0]}")
    return [found[name] for name in categories]


def scores_of(reviews: Sequence[Review]) -> dict[str, float]:
    """`relative_score`, and that of each category."""
    scores: dict[str, float] = metrics.load("relative_score").compute(
        predictions=[review.answer for review in reviews],
        references=[review.reference for review in reviews],
        categories=[review.category for review in reviews],
    )
    return scores


def evaluate_judged(
    where: str | Path,
    data: str | Path,
    judge: str,
    answers: Path | None = None,
    pictures: Path | None = None,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Score a model's answers to open questions by a judge and add the row to its `results.json`.

    Args:
        where: Run directory or repository.
        data: The folder of the questions.
        judge: A file of scores, or a language model's folder or Hub id.
        answers: A file of the model's answers; by default they are given now, and written into the run.
        pictures: The folder of pictures, where answers are to be given now.
        device: As torch names it.

    Returns:
        The rows of `results.json`, the new one last.
    """
    questions = read_open_questions(data)
    recipe = run_recipe(where)
    found = {
        "data": Path(data).name,
        "split": "test",
        "examples": len(questions),
        "metrics": _judged(where, questions, judge, answers, pictures, device),
        "how": by_command("evaluate", {"judge": Path(judge).name}, recipe.get("name", "default")),
    }
    return noted(where, recipe.get("architecture") or load(where, device).row.name, recipe, found)


def _judged(
    where: str | Path,
    questions: Sequence[OpenQuestion],
    judge: str,
    answers: Path | None,
    pictures: Path | None,
    device: str,
) -> dict[str, float]:
    """The relative score, with as many of the three steps as are still to be done.

    Raises:
        UsageError: Answers are to be given, but no pictures are named; or there is no such judge.
        DataError: Files do not fit the questions, or a review cannot be read.
    """
    if judge.endswith(".jsonl"):
        return scores_of(reviews_of(rows_of(Path(judge), ("question_id", "tuple")), questions, judge))
    review = judge_of(judge, device)
    if answers is not None:
        said = rows_of(answers, ("question_id", "text"))
    elif pictures is None:
        raise UsageError("answers are judged: give a file of them with --answers, or with --pictures what to look at")
    else:
        said = answer_questions(load(where, device), questions, pictures)
        write_rows(_folder(where) / ANSWERS, said)
    rows = judge_answers(review, questions, said)
    path = _folder(where) / REVIEWS
    write_rows(path, rows)
    return scores_of(reviews_of(rows, questions, str(path)))


def _folder(where: str | Path) -> Path:
    """Where answers and reviews are written: the run, or for a repository the current folder."""
    return Path(where) if Path(where).is_dir() else Path()


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows that are whole, one a line."""
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
