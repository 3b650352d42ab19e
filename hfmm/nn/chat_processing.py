"""LLaVA's processor over a byte-level tokenizer learned from any corpus, and conversations as the tokens of a model.

All parts are upstream classes, so a saved processor loads anywhere.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import LlavaProcessor, PreTrainedTokenizerFast

from hfmm.nn.central_square import central_square
from hfmm.nn.chat_templates import IMAGE, OWN, V0_STOP, chat_template, text_template

UNKNOWN, START, END, PAD = "<unk>", "<s>", "</s>", "<pad>"
SPECIAL = (UNKNOWN, START, END, PAD, IMAGE, V0_STOP)  # ids 0 to 5
_ROLES = ("Human:", "Assistant:", "USER:", " ASSISTANT:", "[INST]", " [/INST]")
MOST_MERGES = 31_738  # with the bytes and the special tokens as many as Llama's


def chat_tokenizer(
    texts: Iterable[str],
    min_count: int = 1,
    max_merges: int | None = None,
    vocab_size: int | None = None,
    max_length: int = 2048,
) -> PreTrainedTokenizerFast:
    """Learn a tokenizer of bytes and merged pieces: it reads any text, and gives it back as it was.

    Args:
        texts: The corpus.
        min_count: Merge pairs of pieces that are seen so often.
        max_merges: At most so many; as many as Llama's by default.
        vocab_size: Fill up with pieces that no text has to so many.
        max_length: Tokens of the longest conversation, pictures' patches counted.

    Returns:
        A tokenizer whose ids are SPECIAL, bytes, merged pieces; it puts `<s>` before a text.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIAL) + len(letters) + (MOST_MERGES if max_merges is None else max_merges),
        min_frequency=min_count,
        special_tokens=list(SPECIAL),
        initial_alphabet=letters,
        show_progress=False,
    )
    roles = _ROLES * max(1, min_count)
    tokenizer.train_from_iterator((form for text in (*roles, *texts) for form in (text, f" {text}")), trainer)
    unused = range(tokenizer.get_vocab_size(), vocab_size or 0)
    tokenizer.add_tokens([f"<unused{number}>" for number in unused])
    tokenizer.post_processor = TemplateProcessing(single=f"{START} $A", special_tokens=[(START, SPECIAL.index(START))])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, bos_token=START, eos_token=END, pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE}, clean_up_tokenization_spaces=False,
        model_max_length=max_length,
    )  # fmt: skip


def chat_processor(  # noqa: PLR0913  settings of a preset
    captions: Iterable[str],
    image_size: int = 224,
    patch_size: int = 14,
    image_mean: Sequence[float] = (0.48145466, 0.4578275, 0.40821073),
    image_std: Sequence[float] = (0.26862954, 0.26130258, 0.27577711),
    template: str = "v0",
    system: str | None = None,
    min_count: int = 1,
    max_words: int | None = None,
    vocab_size: int | None = None,
    max_length: int = 2048,
) -> LlavaProcessor:
    """Build a processor of pictures and conversations.

    Args:
        captions: The corpus that the tokenizer learns from.
        image_size: Of the central square that pictures are cut to, in pixels.
        patch_size: Of the picture tower; each patch takes the place of a token.
        image_mean: Of the channels.
        image_std: Of these.
        template: See [`hfmm.nn.chat_templates`].
        system: What is said before the first turn; the template's own by default.
        min_count: See [`chat_tokenizer`].
        max_words: See [`chat_tokenizer`].
        vocab_size: See [`chat_tokenizer`].
        max_length: See [`chat_tokenizer`].
    """
    image_processor = central_square(image_size, image_mean, image_std)
    tokenizer = chat_tokenizer(captions, min_count, max_words, vocab_size, max_length)
    processor = processor_over(image_processor, tokenizer, patch_size)
    set_template(processor, template, system)
    return processor


def processor_over(image_processor: Any, tokenizer: Any, patch_size: int, class_token: bool = True) -> LlavaProcessor:
    """LLaVA's processor, without a template, over a picture tower's image processor and a language model's tokenizer.

    The tokenizer has the placeholder of pictures. As many placeholders stand for a picture as it has patches: the
    class token of a tower that has one is counted and left out again.
    """
    return LlavaProcessor(
        image_processor, tokenizer, patch_size=patch_size, num_additional_image_tokens=int(class_token),
        vision_feature_select_strategy="default" if class_token else "full",
    )  # fmt: skip


def add_placeholder(tokenizer: Any) -> None:
    """Give a language model's tokenizer the placeholder of pictures, and what to fill up with where it has nothing."""
    tokenizer.add_special_tokens({"extra_special_tokens": [IMAGE]}, replace_extra_special_tokens=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token


def set_template(processor: Any, template: str = "v0", system: str | None = None, own: str = "") -> None:
    """Give a processor another conversation template, or a language model's own."""
    if template == OWN:
        processor.chat_template = text_template(own, processor.image_token)
    else:
        processor.chat_template = chat_template(template, system, processor.image_token)
