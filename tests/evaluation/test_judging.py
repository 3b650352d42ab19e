"""Answers to open questions, what judges say of them, and the relative score."""

import json

import pytest
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import hfmm
from hfmm import cli
from hfmm.data.open_questions import read_open_questions
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import judging
from hfmm.loading import load
from hfmm.results import read_results
from tests.data.files import write_lines, write_open_questions
from tests.testing import seeded, shared_data

CATEGORIES = ("conv", "detail", "conv")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Three questions and their pictures."""
    folder = write_open_questions(tmp_path_factory.mktemp("bench"), CATEGORIES)
    for number, color in enumerate(("red", "green", "blue"), 1):
        Image.new("RGB", (64, 64), color).save(folder / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def folder_of_llava(tmp_path_factory):
    """A model that converses, in a way."""
    folder = tmp_path_factory.mktemp("llava")
    with seeded():
        hfmm.create_model("llava").save_pretrained(folder)
    hfmm.create_processor("llava").save_pretrained(folder)
    return folder


@pytest.fixture
def run(folder_of_llava, tmp_path):
    """The same, as a run of its own."""
    for path in folder_of_llava.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    (tmp_path / "recipe.yaml").write_text("architecture: llava\npreset: tiny\nseed: 0\nmax_steps: 0\n")
    return tmp_path


def write_scores(path, scores):
    return write_lines(path, [{"question_id": name, "tuple": pair} for name, pair in scores.items()])


def call(capsys, *words):
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


# A file of scores


def test_hand_example_over_all_and_by_category(bench):
    rows = [{"question_id": name, "tuple": pair} for name, pair in ((1, [8, 6]), ("2", [9, 9]), (3, [8.0, 4]))]
    reviews = judging.reviews_of(rows, read_open_questions(bench), "a file")
    assert judging.scores_of(reviews) == {
        "relative_score": pytest.approx(100 * 19 / 25),
        "relative_score_conv": pytest.approx(100 * 10 / 16),
        "relative_score_detail": 100,
    }


def test_llavas_own_questions_with_a_file_of_scores(run, tmp_path):
    scores = write_scores(tmp_path / "gpt4.jsonl", {number: [8, 6] for number in range(90)})
    rows = judging.evaluate_judged(run, shared_data("llava_eval"), str(scores))
    assert rows == read_results(run)
    row = rows[-1]
    assert (row["data"], row["examples"], row["how"]) == ("llava_eval", 90, "hfmm evaluate (judge=gpt4.jsonl)")
    assert (row["architecture"], row["preset"]) == ("llava", "tiny")
    assert row["metrics"] == {
        "relative_score": 75, "relative_score_complex": 75, "relative_score_conv": 75, "relative_score_detail": 75,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        ([(1, [8, 6]), (2, [9, 9])], "1 of 3 questions have no review, the first is 3"),
        (
            [(1, [8, 6]), (2, [-1, -1]), (3, [8, 8])],
            "1 of 3 questions have a review that does not begin with two scores",
        ),
        ([(1, [8, 6]), (1, [9, 9])], "question 1 has two reviews"),
        ([(7, [8, 6])], "question 7 was not asked"),
        ([(1, [8])], r"the scores of question 1 are \[8\], not those of two answers"),
        ([(1, "8 6")], "the scores of question 1 are '8 6'"),
    ],
)
def test_scores_that_do_not_fit(bench, scores, problem):
    rows = [{"question_id": name, "tuple": pair} for name, pair in scores]
    with pytest.raises(DataError, match=f"mine: {problem}"):
        judging.reviews_of(rows, read_open_questions(bench), "mine")


# Models as judges


@pytest.mark.parametrize(
    ("review", "scores"),
    [
        ("8 6\nThe second is shorter.", (8, 6)),
        ("8, 6.5", (8, 6.5)),
        ("9.0 10 \n", (9, 10)),
        ("Assistant 1: 8", None),
        ("8", None),
        ("8 6 7", None),
        ("", None),
    ],
)
def test_reviews_begin_with_two_scores(review, scores):
    assert judging.read_review(review) == scores


def test_any_function_is_a_judge(bench):
    questions = read_open_questions(bench)
    answers = [{"question_id": number, "text": text} for number, text in ((1, "A dog."), (2, "A cat."), (3, "Grass."))]
    rows = judging.judge_answers(
        lambda prompt: "9 9\nSame" if prompt.count("A cat.") == 2 else "9 3", questions, answers
    )
    assert [row["tuple"] for row in rows] == [[9, 3], [9, 9], [9, 3]]
    assert rows[1] == {"question_id": "2", "category": "detail", "content": "9 9\nSame", "tuple": [9, 9]}
    assert judging.judge_answers(lambda prompt: "dunno", questions[:1], answers)[0]["tuple"] == [-1, -1]
    with pytest.raises(DataError, match="question 3 has no answer"):
        judging.judge_answers(lambda prompt: "1 1", questions, answers[:2])


def make_judge(folder, template=None):
    """A language model that says `7 ` over and over."""
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "7": 1, "5": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", chat_template=template)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=3, n_positions=200, n_embd=8, n_layer=1, n_head=1))
    model.transformer.ln_f.weight.data.zero_()  # so that every state is the bias, which looks like the word 7
    model.transformer.ln_f.bias.data.copy_(10 * model.transformer.wte.weight.data[1])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}{% if add_generation_prompt %} 5{% endif %}"


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_a_language_model_judges(tmp_path, template):
    judge = judging.judge_of(make_judge(tmp_path, template), max_new_tokens=2)
    assert judge("Is it good?") == "7 7"


def test_what_cannot_judge(tmp_path):
    with pytest.raises(UsageError, match="no such judge: name a file of scores"):
        judging.judge_of(tmp_path / "absent" / "model")
    with pytest.raises(UsageError, match="is no language model that can judge"):
        judging.judge_of(tmp_path)


# The three steps together


def test_answers_are_those_of_single_conversations(bench, folder_of_llava):
    loaded, questions = load(folder_of_llava), read_open_questions(bench)
    rows = judging.answer_questions(loaded, questions, bench, max_new_tokens=4)
    assert [row["question_id"] for row in rows] == ["1", "2", "3"]
    again = judging.answer_questions(loaded, questions[1:2], bench, max_new_tokens=4)
    assert again == rows[1:2]
    assert rows[0]["text"] in rows[0]["review_prompt"]
    assert rows[0].keys() == {"question_id", "image", "category", "prompt", "text", "model_id", "review_prompt"}


def test_a_captioner_is_not_asked(bench, tmp_path):
    hfmm.create_model("show_and_tell").save_pretrained(tmp_path)
    hfmm.create_processor("show_and_tell").save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="show_and_tell does not answer open questions: its task is image-captioning"):
        judging.answer_questions(load(tmp_path), read_open_questions(bench), bench)


def test_answer_then_score_by_the_command_line(bench, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(judging.answer_questions, "__defaults__", (4,))
    code, out, _ = call(capsys, "predict", run, "--data", bench, "--image", bench, "--output", tmp_path / "out")
    assert code == 0
    assert [line.split("\t")[:2] for line in out.split("\n") if line.startswith(("1.", "2.", "3."))] == [
        [f"{number}.jpg", "What is it?"] for number in (1, 2, 3)
    ]
    answers = judging.rows_of(tmp_path / "out" / "answers.jsonl", ("question_id", "text", "review_prompt"))
    assert len(answers) == 3
    scores = write_scores(tmp_path / "scores.jsonl", {1: [8, 6], 2: [9, 9], 3: [8, 4]})
    code, out, _ = call(capsys, "evaluate", run, "--data", bench, "--judge", scores, "--json")
    assert (code, json.loads(out)["metrics"]["relative_score"]) == (0, 76)
    code, out, _ = call(capsys, "evaluate", run, "--data", bench, "--judge", scores)
    assert "relative_score_conv" in out


def test_a_model_answers_and_another_judges(bench, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(judging.answer_questions, "__defaults__", (4,))
    monkeypatch.setattr(judging.judge_of, "__defaults__", ("cpu", 2))
    judge = make_judge(tmp_path / "judge")
    words = ("evaluate", run, "--data", bench, "--judge", judge)
    code, out, err = call(capsys, *words)
    assert (code, out) == (2, "")
    assert "give a file of them with --answers, or with --pictures what to look at" in err
    code, out, _ = call(capsys, *words, "--pictures", bench, "--json")
    assert (code, json.loads(out)["metrics"]["relative_score"]) == (0, 100)
    reviews = judging.rows_of(run / "reviews.jsonl", ("content", "tuple"))
    assert [row["tuple"] for row in reviews] == [[7, 7]] * 3
    code, out, _ = call(capsys, *words, "--answers", run / "answers.jsonl", "--json")
    assert (code, json.loads(out)["metrics"]["relative_score"]) == (0, 100)


def test_mistakes_of_the_command_line(bench, run, capsys):
    for words, problem in (
        (("evaluate", run, "--judge", "x.jsonl"), "name the folder that holds them with --data"),
        (("predict", run, "--data", bench), "name it with --image"),
        (("evaluate", run, "--data", bench, "--judge", "nobody.jsonl"), "nobody.jsonl: no such file"),
        (("evaluate", run, "--data", run, "--judge", "nobody.jsonl"), "it is no set of open questions"),
    ):
        code, out, err = call(capsys, *words)
        assert code in (2, 3)
        assert out == ""
        assert problem in err
        assert "Traceback" not in err
