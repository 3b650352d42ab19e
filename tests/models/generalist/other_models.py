"""Models of transformers that converse about pictures and are not in the catalogue, tiny, with random weights.

They differ in what stands for a picture: tiles with tags between them, a view and its parts, a pooled view with its own
kind of attention, patches before a language model with sliding windows.
"""

from collections.abc import Callable
from typing import Any

import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from hfmm.nn.chat_processing import PAD, START, UNKNOWN, chat_tokenizer

IMAGE, STOP = "<image>", "<|im_end|>"
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SQUARE = {"height": 32, "width": 32}
SPEAKS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
Pair = tuple[PreTrainedModel, ProcessorMixin]


def tokenizer(*special: str, **named: str) -> PreTrainedTokenizerFast:
    """One that knows these placeholders, some of them by name."""
    learned = chat_tokenizer(["what color is the star", "red", "blue cross"])
    learned.add_special_tokens({"additional_special_tokens": [*special, STOP, "<|im_start|>"]})
    return PreTrainedTokenizerFast(
        tokenizer_object=learned.backend_tokenizer, bos_token=START, eos_token=STOP, pad_token=PAD, unk_token=UNKNOWN,
        extra_special_tokens=named, model_max_length=512,
    )  # fmt: skip


def template(placeholder: str = IMAGE) -> str:
    """A chat template that writes that for a picture."""
    return SPEAKS.replace("IMAGE", placeholder)


def words(reader: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What a tokenizer decides of a language model."""
    ids = {f"{name}_token_id": getattr(reader, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return {**SMALL, **ids, "vocab_size": len(reader), "max_position_embeddings": 512}


def idefics3() -> Pair:
    """Tiles with tags between them, then all of the picture; the architecture of SmolVLM, too."""
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    reader = tokenizer("<fake_token_around_image>", IMAGE, "<end_of_utterance>", "<global-img>", *tiles)
    looks = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = transformers.Idefics3Processor(looks, reader, image_seq_len=4, chat_template=template())
    config = transformers.Idefics3Config(
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        text_config={**words(reader), "model_type": "llama"},
        image_token_id=processor.image_token_id, pad_token_id=reader.pad_token_id,
    )  # fmt: skip
    return transformers.Idefics3ForConditionalGeneration(config), processor


def llava_next() -> Pair:
    """All of the picture, then its parts in rows."""
    reader = tokenizer(IMAGE)
    grids = [[32, 64], [64, 32], [64, 64]]
    looks = LlavaNextImageProcessorPil(size={"shortest_edge": 32}, crop_size=SQUARE, image_grid_pinpoints=grids)
    processor = transformers.LlavaNextProcessor(
        looks, reader, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template(),
    )  # fmt: skip
    config = transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**SMALL, image_size=32, patch_size=8),
        text_config=transformers.LlamaConfig(**words(reader)),
        image_token_index=processor.image_token_id, image_grid_pinpoints=grids, image_seq_length=16,
    )  # fmt: skip
    return transformers.LlavaNextForConditionalGeneration(config), processor


def gemma3() -> Pair:
    """A pooled view whose tokens look at each other both ways; sliding windows in the language model."""
    first, last, soft = "<start_of_image>", "<end_of_image>", "<image_soft_token>"
    reader = tokenizer(first, last, soft, boi_token=first, eoi_token=last, image_token=soft)
    looks = Gemma3ImageProcessorPil(size=SQUARE)
    processor = transformers.Gemma3Processor(looks, reader, image_seq_length=4, chat_template=template(first))
    first_id, last_id, soft_id = (reader.convert_tokens_to_ids(name) for name in (first, last, soft))
    config = transformers.Gemma3Config(
        vision_config=transformers.SiglipVisionConfig(**SMALL, image_size=32, patch_size=8),
        text_config=transformers.Gemma3TextConfig(
            **words(reader), head_dim=16, num_key_value_heads=1, sliding_window=16
        ),
        mm_tokens_per_image=4, boi_token_index=first_id, eoi_token_index=last_id, image_token_index=soft_id,
    )  # fmt: skip
    return transformers.Gemma3ForConditionalGeneration(config), processor


def aya_vision() -> Pair:
    """Shuffled patches of tiles; sliding windows in the language model."""
    names = (IMAGE, "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "TILE", "TILE_GLOBAL")
    reader = tokenizer(*names)
    looks = GotOcr2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=4)
    processor = transformers.AyaVisionProcessor(
        looks, reader, patch_size=8, img_size=32, downsample_factor=2, chat_template=template()
    )
    config = transformers.AyaVisionConfig(
        vision_config=transformers.SiglipVisionConfig(**SMALL, image_size=32, patch_size=8, vision_use_head=False),
        text_config=transformers.Cohere2Config(**words(reader), sliding_window=16),
        image_token_index=processor.image_token_id, downsample_factor=2, alignment_intermediate_size=32,
    )  # fmt: skip
    return transformers.AyaVisionForConditionalGeneration(config), processor


KINDS: dict[str, Callable[[], Pair]] = {
    "idefics3": idefics3, "llava_next": llava_next, "gemma3": gemma3, "aya_vision": aya_vision,
}  # fmt: skip
