"""The one table of what there is: every architecture, tool and reference row, as strings.

Importing it imports nothing. Presets live in the folders (`presets.py`), recipes in `hfmm/recipes`.
"""

from typing import NamedTuple

FAMILIES = ("vision", "text", "captioning", "alignment", "generation", "generalist", "tool", "reference")
ORIGINS = ("hfmm", "transformers", "diffusers", "tool", "reference")
STATUSES = ("ready", "planned")
TASKS = (
    "image-captioning", "visual-question-answering", "image-classification", "object-detection", "image-segmentation",
    "image-feature-extraction", "face-verification", "zero-shot-image-classification", "image-text-retrieval",
    "phrase-grounding", "video-classification", "video-captioning", "lip-reading", "audio-classification",
    "text-generation", "text-classification", "translation", "fill-mask", "word-embedding",
    "unconditional-image-generation", "text-to-image", "image-to-image", "image-text-to-text", "any-to-any",
    "optical-flow", "routing",
)  # fmt: skip

HEADS = {  # Auto classes of heads that are not an architecture's first, and their task; "" is the first one
    "AutoModelForVisualQuestionAnswering": "visual-question-answering",
    "AutoModelForPreTraining": "",
}


class Row(NamedTuple):
    """One architecture, tool or reference.

    Attributes:
        name: What a person types.
        title: What a person reads.
        family: The room of `hfmm/models`, or `tool` and `reference` for rows without one.
        year: Of the paper.
        paper: arXiv id as `arXiv:1411.4555`, or authors and venue; empty where the deck cites none.
        origin: `hfmm`, `transformers`, `diffusers`, `tool` or `reference`.
        tasks: From the list of INTERFACE.md.
        source: Deck and inventory rows, such as `S1:2b`.
        status: `ready` or `planned`.
        auto: (Auto class, class) pairs of models; the first is what `create_model` builds. Where diffusers' models are
            the parts, the Auto class is `DiffusionPipeline`; where no Auto class knows an upstream one, it stands by
            itself.
        camel: Class stem where it is not the CamelCase of the name.
        note: For reference rows, why there is no code and where to look.
        processors: (Auto class, class) pairs of processors, tokenizers and feature extractors, own or upstream.
        pipeline: Class of its diffusers pipeline, in `pipeline_<name>.py`, where it generates pictures.
        upstream: `model_type` of an upstream architecture where that is not its name.
        stands_in: Whether the row is another architecture's, which the catalogue does not have.
    """

    name: str
    title: str
    family: str
    year: int
    paper: str
    origin: str
    tasks: tuple[str, ...]
    source: tuple[str, ...]
    status: str = "planned"
    auto: tuple[tuple[str, str], ...] = ()
    camel: str = ""
    note: str = ""
    processors: tuple[tuple[str, str], ...] = ()
    pipeline: str = ""
    upstream: str = ""
    stands_in: bool = False

    @property
    def stem(self) -> str:
        """CamelCase stem of the class names."""
        return self.camel or "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def model_type(self) -> str:
        """`model_type` of an architecture's configuration: upstream's own, or one that cannot clash with it."""
        return f"hfmm_{self.name}" if self.origin == "hfmm" else self.upstream or self.name

    @property
    def folder(self) -> str:
        """Dotted package of an architecture; that of an upstream one holds presets alone."""
        return f"hfmm.models.{self.family}.{self.name}"

    def for_task(self, task: str) -> "Row":
        """The row with that one of its tasks first, and the head that does it."""
        heads = [pair for pair in self.auto if HEADS.get(pair[0]) == task]
        return self._headed(task, heads[0] if heads and task != self.tasks[0] else self.auto[0])

    def of_class(self, name: str) -> "Row":
        """The row with the head first that has that class, where it is one for another task or for pre-training."""
        head = next((pair for pair in self.auto if pair[1] == name and pair[0] in HEADS), None)
        return self._headed(HEADS[head[0]] or self.tasks[0], head) if head else self

    def _headed(self, task: str, head: tuple[str, str]) -> "Row":
        tasks = (task, *(other for other in self.tasks if other != task))
        return self._replace(tasks=tasks, auto=(head, *(pair for pair in self.auto if pair != head)))

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of the presets, read from the folder of an architecture that is ready; none otherwise."""
        if self.status != "ready" or self.origin in ("tool", "reference"):
            return ()
        from importlib import import_module

        return tuple(import_module(f"{self.folder}.presets").PRESETS)


def _tool(
    name: str, title: str, year: int, paper: str, tasks: tuple[str, ...], *source: str, status: str = "planned"
) -> Row:
    return Row(name, title, "tool", year, paper, "tool", tasks, source, status)


def _reference(name: str, title: str, year: int, paper: str, source: tuple[str, ...], note: str) -> Row:
    return Row(name, title, "reference", year, paper, "reference", (), source, note=note)


CLASSES, FEATURES, BOXES = ("image-classification",), ("image-feature-extraction",), ("object-detection",)
CAPTIONS, ANSWERS, RETRIEVAL = ("image-captioning",), ("visual-question-answering",), ("image-text-retrieval",)
PICTURES, FROM_TEXT, EDITS = ("unconditional-image-generation",), ("text-to-image",), ("image-to-image",)
ZERO_SHOT, DIALOGUES = ("zero-shot-image-classification",), ("image-text-to-text",)
SMALL_CLASSIFIER = "lenet5"  # good enough for small pictures
PIPELINE = "DiffusionPipeline"  # diffusers' Auto class
OF_PICTURES = (("AutoImageProcessor", "CLIPImageProcessorPil"),)
OF_MASKS = (("AutoImageProcessor", "SegformerImageProcessorPil"),)
OF_PAIRS = (("AutoProcessor", "CLIPProcessor"), *OF_PICTURES, ("AutoTokenizer", "CLIPTokenizer"))
OF_WORDS_AND_PICTURES = (*OF_PICTURES, ("AutoTokenizer", "TokenizersBackend"))
OF_DIALOGUES = (("AutoProcessor", "LlavaProcessor"), *OF_WORDS_AND_PICTURES)

# fmt: off
ROWS: tuple[Row, ...] = (
    # vision
    Row("lenet5", "LeNet-5", "vision", 1998, "LeCun et al., Proc. IEEE", "hfmm", CLASSES, ("S3:41",), "ready",
        (("AutoModelForImageClassification", "Lenet5ForImageClassification"),), processors=OF_PICTURES),
    Row("alexnet", "AlexNet", "vision", 2012, "Krizhevsky et al., NIPS", "hfmm", CLASSES + FEATURES,
        ("S0:42", "S3:42", "S4:42"),
        "ready", (("AutoModelForImageClassification", "AlexnetForImageClassification"), ("AutoModel", "AlexnetModel")),
        processors=OF_PICTURES),
    Row("vgg", "VGG-16 and VGG-19", "vision", 2014, "arXiv:1409.1556", "hfmm", CLASSES + FEATURES, ("S3:43", "S4:43"),
        "ready", (("AutoModelForImageClassification", "VggForImageClassification"), ("AutoBackbone", "VggBackbone"),
                  ("AutoModel", "VggBackbone")), processors=OF_PICTURES),
    Row("googlenet", "GoogLeNet", "vision", 2015, "arXiv:1409.4842", "hfmm", CLASSES + FEATURES, ("S1:44", "S3:44"),
        "ready", (("AutoModelForImageClassification", "GooglenetForImageClassification"),
                  ("AutoBackbone", "GooglenetBackbone"), ("AutoModel", "GooglenetModel")), processors=OF_PICTURES),
    Row("highway_network", "Highway networks", "vision", 2015, "arXiv:1505.00387", "hfmm", CLASSES, ("S3:50",),
        "ready", (("AutoModelForImageClassification", "HighwayNetworkForImageClassification"),),
        processors=OF_PICTURES),
    Row("residual_attention", "Residual attention", "vision", 2017, "arXiv:1704.06904", "hfmm", CLASSES + FEATURES,
        ("S3:50",), "ready", (("AutoModelForImageClassification", "ResidualAttentionForImageClassification"),
                              ("AutoBackbone", "ResidualAttentionBackbone"),
                              ("AutoModel", "ResidualAttentionBackbone")), processors=OF_PICTURES),
    Row("unet", "U-Net", "vision", 2015, "arXiv:1505.04597", "hfmm", ("image-segmentation",), ("S3:47", "S4:47"),
        "ready", (("AutoModelForSemanticSegmentation", "UnetForSemanticSegmentation"),),
        processors=(("AutoImageProcessor", "UnetImageProcessor"),)),
    Row("yolo", "YOLO, version 1", "vision", 2016, "arXiv:1506.02640", "hfmm", BOXES, ("S3:48", "S4:48"), "ready",
        (("AutoModelForObjectDetection", "YoloForObjectDetection"),),
        processors=(("AutoImageProcessor", "YoloImageProcessor"),)),
    Row("faster_rcnn", "Faster R-CNN with attributes", "vision", 2015, "arXiv:1506.01497", "hfmm", BOXES + FEATURES,
        ("S1:48", "S3:48", "S4:48", "S4:11d", "S3:15"),
        "ready", (("AutoModelForObjectDetection", "FasterRcnnForObjectDetection"),),
        processors=(("AutoImageProcessor", "FasterRcnnImageProcessor"),)),
    Row("setr", "SETR", "vision", 2021, "arXiv:2012.15840", "hfmm", ("image-segmentation",), ("S2:37c",),
        "ready", (("AutoModelForSemanticSegmentation", "SetrForSemanticSegmentation"),),
        processors=OF_MASKS),
    Row("segmenter", "Segmenter", "vision", 2021, "arXiv:2105.05633", "hfmm", ("image-segmentation",), ("S2:37c",),
        "ready", (("AutoModelForSemanticSegmentation", "SegmenterForSemanticSegmentation"),),
        processors=OF_MASKS),
    Row("facenet", "FaceNet and DeepFace", "vision", 2015, "arXiv:1503.03832", "hfmm", ("face-verification",),
        ("S3:49", "S3:63"), "ready",
        (("AutoModel", "FacenetModel"), ("AutoModelForImageClassification", "FacenetForImageClassification")),
        processors=(("AutoImageProcessor", "FacenetImageProcessor"),)),
    Row("pretext", "Self-supervised pretext tasks", "vision", 2015, "arXiv:1505.05192", "hfmm", FEATURES, ("S3:61",),
        "ready", (("AutoModelForPreTraining", "PretextForPreTraining"), ("AutoModel", "PretextModel")),
        processors=(("AutoImageProcessor", "PretextImageProcessor"),)),
    Row("small_cnn", "Small backbone of tiny presets", "vision", 2026, "", "hfmm", CLASSES + FEATURES, (), "ready",
        (("AutoModelForImageClassification", "SmallCnnForImageClassification"), ("AutoBackbone", "SmallCnnBackbone"),
         ("AutoModel", "SmallCnnBackbone")), processors=OF_PICTURES),
    Row("resnet", "ResNet", "vision", 2016, "arXiv:1512.03385", "transformers", CLASSES + FEATURES,
        ("S2:45", "S3:45", "S4:45"), "ready",
        (("AutoModelForImageClassification", "ResNetForImageClassification"), ("AutoBackbone", "ResNetBackbone"),
         ("AutoModel", "ResNetModel")), camel="ResNet", processors=OF_PICTURES),
    Row("cifar_resnet", "ResNet of small pictures", "vision", 2016, "arXiv:1512.03385", "hfmm", CLASSES + FEATURES,
        ("S2:45", "S3:45", "S4:45"),
        "ready", (("AutoModelForImageClassification", "CifarResnetForImageClassification"),
                  ("AutoBackbone", "CifarResnetBackbone"), ("AutoModel", "CifarResnetBackbone")),
        processors=OF_PICTURES),
    Row("efficientnet", "EfficientNet", "vision", 2019, "arXiv:1905.11946", "transformers", CLASSES, ("S3:46",),
        "ready", (("AutoModelForImageClassification", "EfficientNetForImageClassification"),
                  ("AutoModel", "EfficientNetModel")), camel="EfficientNet", processors=OF_PICTURES),
    Row("vit", "Vision Transformer", "vision", 2021, "arXiv:2010.11929", "transformers", CLASSES + FEATURES,
        ("S2:37", "S4:37"), "ready",
        (("AutoModelForImageClassification", "ViTForImageClassification"), ("AutoModel", "ViTModel")), camel="ViT",
        processors=OF_PICTURES),
    Row("swin", "Swin Transformer", "vision", 2021, "arXiv:2103.14030", "transformers", CLASSES + FEATURES,
        ("S2:37c",), "ready",
        (("AutoModelForImageClassification", "SwinForImageClassification"), ("AutoBackbone", "SwinBackbone"),
         ("AutoModel", "SwinModel")), processors=OF_PICTURES),
    Row("yolos", "YOLOS (the deck's ViT-YOLO)", "vision", 2021, "arXiv:2106.00666", "transformers", BOXES, ("S2:37c",),
        "ready", (("AutoModelForObjectDetection", "YolosForObjectDetection"), ("AutoModel", "YolosModel")),
        processors=(("AutoImageProcessor", "YolosImageProcessorPil"),)),
    Row("detr", "DETR", "vision", 2020, "arXiv:2005.12872", "transformers", BOXES, ("S4:11d",), "ready",
        (("AutoModelForObjectDetection", "DetrForObjectDetection"), ("AutoModel", "DetrModel")),
        processors=(("AutoImageProcessor", "DetrImageProcessorPil"),)),
    # text
    Row("lstm_lm", "LSTM language model", "text", 2014, "arXiv:1409.2329", "hfmm", ("text-generation",),
        ("S1:52", "S3:52", "S3:53", "S2:53")),
    Row("lstm_classifier", "LSTM text classifier", "text", 1997, "Hochreiter and Schmidhuber", "hfmm",
        ("text-classification",), ("S1:52", "S3:52", "S2:54")),
    Row("seq2seq", "LSTM seq2seq", "text", 2014, "arXiv:1409.3215", "hfmm", ("translation",), ("S3:54", "S2:54")),
    Row("transformer", "Transformer", "text", 2017, "arXiv:1706.03762", "hfmm", ("translation",),
        ("S2:38", "S3:38", "S4:38")),
    Row("word2vec", "word2vec", "text", 2013, "arXiv:1310.4546", "hfmm", ("word-embedding",),
        ("S3:55", "S4:55", "S4:11c")),
    Row("keyword_conv", "1-D keyword spotter", "text", 2024, "", "hfmm", ("audio-classification",), ("S3:51",)),
    Row("bert", "BERT", "text", 2019, "arXiv:1810.04805", "transformers", ("fill-mask", "text-classification"),
        ("S2:39", "S4:39", "S2:63")),
    Row("gpt2", "GPT-2", "text", 2019, "Radford et al., OpenAI", "transformers", ("text-generation",), ("S2:40",)),
    # captioning
    Row("show_and_tell", "Show and Tell (NIC)", "captioning", 2015, "arXiv:1411.4555", "hfmm", CAPTIONS,
        ("S0:1", "S1:1", "S3:1", "S1:1a", "S1:1c", "S0:1d", "S1:1d", "S1:1e"), "ready",
        (("AutoModelForImageTextToText", "ShowAndTellForConditionalGeneration"), ("AutoModel", "ShowAndTellModel")),
        processors=(("AutoProcessor", "ShowAndTellProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("show_attend_tell", "Show, Attend and Tell", "captioning", 2015, "arXiv:1502.03044", "hfmm", CAPTIONS,
        ("S0:2", "S1:2", "S0:2a", "S1:2a", "S0:2b", "S1:2b", "S1:2c", "S1:2d", "S1:2e", "S0:2f", "S0:2g", "S1:63"),
        "ready",
        (("AutoModelForImageTextToText", "ShowAttendTellForConditionalGeneration"),
         ("AutoModel", "ShowAttendTellModel")),
        processors=(("AutoProcessor", "ShowAttendTellProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("lrcn", "LRCN", "captioning", 2015, "arXiv:1411.4389", "hfmm",
        ("image-captioning", "video-classification", "video-captioning"), ("S1:3", "S1:3a", "S1:3b", "S1:3c", "S1:7")),
    Row("visual_semantic_alignments", "Deep Visual-Semantic Alignments", "captioning", 2015, "arXiv:1412.2306", "hfmm",
        ("image-captioning", "phrase-grounding"), ("S1:4", "S0:4", "S1:4a", "S1:4b", "S1:4c")),
    Row("bottom_up_top_down", "Bottom-Up and Top-Down", "captioning", 2018, "arXiv:1707.07998", "hfmm",
        CAPTIONS + ANSWERS, ("S1:5",)),
    Row("watch_listen_attend_spell", "Watch, Listen, Attend and Spell", "captioning", 2017, "arXiv:1611.05358", "hfmm",
        ("lip-reading",), ("S3:8",)),
    # alignment
    Row("pmi_retrieval", "PMI retrieval and ImSearch", "alignment", 2014, "Levy and Goldberg, NIPS", "hfmm", RETRIEVAL,
        ("S4:11", "S1:11", "S4:11a", "S4:11b", "S4:11c", "S4:11d", "S4:11e", "S3:15", "S4:55"),
        "ready", (("AutoModel", "PmiRetrievalModel"),),
        processors=(("AutoProcessor", "PmiRetrievalProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("devise", "DeViSE", "alignment", 2013, "Frome et al., NIPS", "hfmm", ZERO_SHOT + RETRIEVAL,
        ("S0:9", "S1:9", "S0:63"), "ready",
        (("AutoModelForZeroShotImageClassification", "DeviseModel"), ("AutoModel", "DeviseModel")),
        processors=(("AutoProcessor", "DeviseProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("layer_norm_ranking", "Order embeddings, layer norm", "alignment", 2016, "arXiv:1607.06450", "hfmm",
        RETRIEVAL, ("S1:12", "S1:56", "S1:57"),
        "ready", (("AutoModel", "LayerNormRankingModel"),),
        processors=(("AutoProcessor", "LayerNormRankingProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("char_cnn_rnn", "Structured joint embedding", "alignment", 2016, "arXiv:1605.05395", "hfmm",
        RETRIEVAL + ZERO_SHOT, ("S1:13",),
        "ready", (("AutoModel", "CharCnnRnnModel"),),
        processors=(("AutoProcessor", "CharCnnRnnProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("vilbert", "ViLBERT", "alignment", 2019, "arXiv:1908.02265", "hfmm", RETRIEVAL + ANSWERS, ("S4:31", "S4:31a"),
        "ready",
        (("AutoModel", "VilbertForImageAndTextRetrieval"),
         ("AutoModelForVisualQuestionAnswering", "VilbertForQuestionAnswering"),
         ("AutoModelForPreTraining", "VilbertForPreTraining")),
        processors=(("AutoProcessor", "VilbertProcessor"), *OF_WORDS_AND_PICTURES)),
    Row("clip_towers", "CLIP's loss over any two towers", "alignment", 2021, "arXiv:2103.00020", "hfmm",
        RETRIEVAL + ZERO_SHOT, ("S1:10a", "S2:10a", "S4:11f", "S4:63"), "ready",
        (("AutoModel", "ClipTowersModel"), ("AutoModelForZeroShotImageClassification", "ClipTowersModel")),
        processors=OF_PAIRS),
    Row("clip", "CLIP", "alignment", 2021, "arXiv:2103.00020", "transformers", RETRIEVAL + ZERO_SHOT,
        ("S1:10", "S2:10", "S4:10", "S1:10b", "S1:10f", "S2:10f", "S3:15"), "ready",
        (("AutoModel", "CLIPModel"), ("AutoModelForZeroShotImageClassification", "CLIPModel")), camel="CLIP",
        processors=OF_PAIRS),
    Row("vilt", "ViLT", "alignment", 2021, "arXiv:2102.03334", "transformers", RETRIEVAL + ANSWERS, ("S4:32",),
        "ready",
        (("ViltForImageAndTextRetrieval", "ViltForImageAndTextRetrieval"),
         ("AutoModelForVisualQuestionAnswering", "ViltForQuestionAnswering"), ("AutoModel", "ViltModel")),
        processors=(("AutoProcessor", "ViltProcessor"), ("AutoImageProcessor", "ViltImageProcessorPil"),
                    ("AutoTokenizer", "BertTokenizer"))),
    # generation
    Row("autoencoder", "Autoencoder", "generation", 2006, "Hinton and Salakhutdinov", "hfmm",
        EDITS + PICTURES + CLASSES, ("S4:25",), "ready", (("AutoModel", "AutoencoderModel"),),
        processors=(("AutoImageProcessor", "AutoencoderPictureProcessor"),), pipeline="AutoencoderPipeline"),
    Row("vae", "Variational autoencoder", "generation", 2014, "arXiv:1312.6114", "hfmm", PICTURES, ("S4:25", "S4:63"),
        "ready", (("AutoModel", "VaeModel"),), processors=(("AutoImageProcessor", "VaePictureProcessor"),),
        pipeline="VaePipeline"),
    Row("gan", "GAN (DCGAN)", "generation", 2014, "arXiv:1406.2661", "hfmm", PICTURES,
        ("S1:20", "S3:20", "S4:20", "S3:63"), "ready", (("AutoModel", "GanModel"),),
        processors=(("AutoImageProcessor", "GanPictureProcessor"),), pipeline="GanPipeline"),
    Row("draw", "DRAW", "generation", 2015, "arXiv:1502.04623", "hfmm", PICTURES, ("S0:16",),
        "ready", (("AutoModel", "DrawModel"),), processors=(("AutoImageProcessor", "DrawPictureProcessor"),),
        pipeline="DrawPipeline"),
    Row("pixelcnn", "Conditional PixelCNN", "generation", 2016, "arXiv:1606.05328", "hfmm", PICTURES, ("S3:26",),
        "ready", (("AutoModel", "PixelcnnModel"),), processors=(("AutoImageProcessor", "PixelcnnPictureProcessor"),),
        pipeline="PixelcnnPipeline"),
    Row("glow", "Glow", "generation", 2018, "arXiv:1807.03039", "hfmm", PICTURES, ("S3:27",),
        "ready", (("AutoModel", "GlowModel"),), processors=(("AutoImageProcessor", "GlowPictureProcessor"),),
        pipeline="GlowPipeline"),
    Row("gan_cls", "GAN-CLS, GAN-INT, GAN-INT-CLS", "generation", 2016, "arXiv:1605.05396", "hfmm", FROM_TEXT,
        ("S1:17", "S1:18")),
    Row("stackgan", "StackGAN", "generation", 2017, "arXiv:1612.03242", "hfmm", FROM_TEXT, ("S1:19",)),
    Row("dalle_dvae", "DALL-E's discrete autoencoder", "generation", 2021, "arXiv:2102.12092", "hfmm", EDITS,
        ("S0:21", "S1:21")),
    Row("dalle", "DALL-E", "generation", 2021, "arXiv:2102.12092", "hfmm", FROM_TEXT, ("S0:21", "S1:21")),
    Row("unclip", "unCLIP (DALL-E 2)", "generation", 2022, "arXiv:2204.06125", "hfmm", FROM_TEXT + EDITS, ("S0:22",)),
    Row("colorizer", "Colorization", "generation", 2016, "arXiv:1603.08511", "hfmm", EDITS, ("S3:29",),
        "ready", (("AutoModelForImageToImage", "ColorizerForImageToImage"),),
        processors=(("AutoImageProcessor", "ColorizerImageProcessor"),)),
    Row("super_resolution", "SRCNN and ESPCN", "generation", 2014, "arXiv:1501.00092", "hfmm", EDITS, ("S3:29",),
        "ready", (("AutoModelForImageToImage", "SuperResolutionForImageToImage"),),
        processors=(("AutoImageProcessor", "SuperResolutionImageProcessor"),)),
    Row("ddpm", "DDPM", "generation", 2020, "arXiv:2006.11239", "diffusers", PICTURES, ("S3:23", "S3:63"), "ready",
        ((PIPELINE, "DDPMPipeline"),), processors=(("AutoImageProcessor", "DdpmPictureProcessor"),)),
    Row("latent_diffusion", "Latent diffusion", "generation", 2022, "arXiv:2112.10752", "diffusers", FROM_TEXT,
        ("S4:24",), "ready", ((PIPELINE, "StableDiffusionPipeline"),), processors=OF_PAIRS),
    # generalist
    Row("perceiver_io", "Perceiver IO, rows not upstream", "generalist", 2022, "arXiv:2107.14795", "hfmm",
        ("any-to-any", "optical-flow"), ("S1:30",)),
    Row("unified_io", "Unified-IO", "generalist", 2023, "arXiv:2206.08916", "hfmm", ("any-to-any",), ("S4:33",)),
    Row("llava", "LLaVA, version 1", "generalist", 2023, "arXiv:2304.08485", "hfmm", DIALOGUES, ("S0:34",), "ready",
        (("AutoModelForImageTextToText", "LlavaV1ForConditionalGeneration"),), camel="LlavaV1",
        processors=OF_DIALOGUES),
    Row("next_gpt", "NExT-GPT", "generalist", 2024, "arXiv:2309.05519", "hfmm", ("any-to-any",), ("S2:35",)),
    Row("attention_routing", "Attention for routing", "generalist", 2019, "arXiv:1803.08475", "hfmm", ("routing",),
        ("S3:62",)),
    Row("perceiver", "Perceiver IO, upstream rows", "generalist", 2022, "arXiv:2107.14795", "transformers",
        ("fill-mask", "image-classification", "optical-flow"), ("S1:30",)),
    Row("llava_1_5", "LLaVA-1.5", "generalist", 2023, "arXiv:2310.03744", "transformers", DIALOGUES,
        ("S0:34",), "ready", (("AutoModelForImageTextToText", "LlavaForConditionalGeneration"),), camel="Llava",
        upstream="llava", processors=OF_DIALOGUES),
    # tools
    _tool("tsne", "t-SNE and neighbors of codes", 2008, "van der Maaten and Hinton, JMLR", FEATURES, "S0:14", "S3:15",
          status="ready"),
    _tool("attention_overlay", "Attention of each word", 2015, "arXiv:1502.03044", CAPTIONS, "S0:2f", status="ready"),
    _tool("attention_rollout", "Attention rollout", 2020, "arXiv:2005.00928", CLASSES, "S2:37a", status="ready"),
    _tool("word_neighbors", "Word neighbors", 2015, "arXiv:1411.4555", ("word-embedding",), "S1:1b", "S4:11c",
          status="ready"),
    _tool("prediction_cards", "Prediction cards", 2021, "arXiv:2103.00020", ZERO_SHOT, "S2:10c"),
    _tool("cosine_matrix", "Cosine matrix", 2021, "arXiv:2103.00020", RETRIEVAL, "S2:10e"),
    _tool("linear_probe", "Linear probe", 2021, "arXiv:2103.00020", CLASSES, "S2:10d"),
    _tool("zero_shot_prompts", "Zero-shot prompts", 2021, "arXiv:2103.00020", ZERO_SHOT, "S2:10c"),
    _tool("fgsm", "Fast gradient sign method", 2015, "arXiv:1412.6572", CLASSES, "S3:60"),
    _tool("test_time_augmentation", "Test-time augmentation", 2012, "Krizhevsky et al., NIPS", CLASSES, "S3:58"),
    _tool("mc_dropout", "Monte Carlo dropout", 2016, "arXiv:1506.02142", CLASSES, "S3:58"),
    _tool("bayesian_dark_knowledge", "Bayesian dark knowledge", 2015, "arXiv:1506.04416", CLASSES, "S3:59"),
    _tool("out_of_distribution", "Out-of-distribution score", 2018, "arXiv:1807.03039", PICTURES, "S3:28",
          status="ready"),
    _tool("convolution_arithmetic", "Convolution arithmetic", 2024, "", (), "S0:51", "S3:51", "S4:51"),
    # references
    _reference("gpt_4", "GPT-4", 2023, "arXiv:2303.08774", ("S0:36", "S4:36", "S0:34a"),
               "Closed model; its answers and judgements are quoted beside llava."),
    _reference("blip_2", "BLIP-2", 2023, "arXiv:2301.12597", ("S0:34a",),
               "In transformers as Blip2ForConditionalGeneration; the deck compares its answers with llava's."),
    _reference("openflamingo", "OpenFlamingo", 2023, "arXiv:2308.01390", ("S0:34a",),
               "Only its answers are shown, beside llava's; the code is github.com/mlfoundations/open_flamingo."),
    _reference("m_rnn", "m-RNN", 2015, "arXiv:1412.6632", ("S1:6",),
               "A row of the comparison tables; show_and_tell is the same task with an LSTM."),
    _reference("sdt_rnn", "SDT-RNN", 2014, "Socher et al., TACL", ("S1:6",),
               "A row of the comparison tables of visual_semantic_alignments."),
    _reference("defrag", "DeFrag", 2014, "arXiv:1406.5679", ("S1:6",),
               "A row of the comparison tables; visual_semantic_alignments builds on it."),
    _reference("log_bilinear", "Log-bilinear models", 2014, "Kiros et al., ICML", ("S0:6",),
               "A row of the comparison tables of show_attend_tell."),
    _reference("cmu_msr", "CMU and MSR captioners", 2015, "arXiv:1411.5654, arXiv:1411.4952", ("S0:6",),
               "Rows of the comparison tables of show_attend_tell; 1-NN and SMT + CRF stand in lrcn's."),
    _reference("visual_n_grams", "Visual N-grams", 2017, "arXiv:1612.09161", ("S1:10b",),
               "The zero-shot row that clip is compared with."),
    _reference("bit_l", "BiT-L", 2020, "arXiv:1912.11370", ("S2:37b", "S2:10d"),
               "A row of vit's table; in transformers as BitForImageClassification."),
    _reference("noisy_student", "Noisy Student", 2020, "arXiv:1911.04252", ("S2:37b", "S3:37b", "S3:46"),
               "A row of vit's and efficientnet's tables: a way to train efficientnet on JFT, which is closed."),
    _reference("simclr", "SimCLRv2", 2020, "arXiv:2006.10029", ("S2:10d",),
               "A curve of the linear-probe figure; see linear_probe and pretext."),
    _reference("align_draw", "alignDRAW", 2016, "arXiv:1511.02793", ("S0:16a",),
               "Named once, in the introduction of dalle; draw has its picture half."),
    _reference("physical_attacks", "Physical adversarial attacks", 2018, "arXiv:1707.08945", ("S3:60",),
               "Glasses and stickers need a camera and a printer; fgsm has the idea."),
    _reference("pos_tags", "POS tags and point features", 2009, "Rusu et al., ICRA", ("S4:11g",),
               "Named as further features for pmi_retrieval, which takes any list of words or labels."),
    _reference("role_play_list", "Paper list of the role-play", 2023, "", ("S4:24", "S4:55"),
               "CLIPort, SLAM, DQN and others of a reading list: links only, outside multimodal modeling."),
)
# fmt: on


def find(name: str) -> Row | None:
    """The row of that name, or None."""
    return next((row for row in ROWS if row.name == name), None)


def of_model_type(model_type: str) -> Row | None:
    """The row of the architecture whose configuration has that `model_type`, or None."""
    return next((row for row in ROWS if row.model_type == model_type), None)


def of_pipeline(class_name: str) -> Row | None:
    """The row of the architecture that is a diffusers pipeline of that class, or None."""
    return next((row for row in ROWS if (PIPELINE, class_name) in row.auto), None)


def ready() -> tuple[Row, ...]:
    """The architectures that can be built, own and upstream ones."""
    return tuple(row for row in ROWS if row.status == "ready" and row.auto)


def own() -> tuple[Row, ...]:
    """The architectures that are written here and ready: what the Auto classes learn."""
    return tuple(row for row in ready() if row.origin == "hfmm")


def list_architectures(
    family: str | None = None, task: str | None = None, source: str | None = None, status: str | None = None
) -> tuple[Row, ...]:
    """The catalogue's rows, optionally of one family, task, deck (`S1`) or inventory row (`S1:2b`), or status.

    Raises:
        UsageError: An unknown family, task, deck, inventory row or status.
    """
    sources = {entry for row in ROWS for entry in row.source}
    decks = {entry.partition(":")[0] for entry in sources}
    for kind, word, known in (
        ("family", family, FAMILIES),
        ("task", task, TASKS),
        ("source", source, sources | decks),
        ("status", status, STATUSES),
    ):
        if word is not None and word not in known:
            from hfmm.errors import unknown

            raise unknown(kind, word, known)
    return tuple(
        row
        for row in ROWS
        if (family is None or row.family == family)
        and (task is None or task in row.tasks)
        and (source is None or any(entry == source or entry.startswith(f"{source}:") for entry in row.source))
        and (status is None or row.status == status)
    )
