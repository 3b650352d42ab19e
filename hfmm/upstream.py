"""Models of transformers that have no row of their own in the catalogue, and the row that stands in for theirs."""

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as CONVERSE

from hfmm import catalogue
from hfmm.catalogue import Row

HOST, AUTO = "llava_1_5", "AutoModelForImageTextToText"


def row_of_type(model_type: str) -> Row | None:
    """The row of models of that type, or None.

    Others that converse about pictures, through a processor of transformers, are handled as LLaVA-1.5 is, whose row
    stands in for theirs.
    """
    row, name, host = catalogue.of_model_type(model_type), CONVERSE.get(model_type), catalogue.find(HOST)
    if row is not None or name is None or host is None:
        return row
    title = name.removesuffix("ForConditionalGeneration")
    return host._replace(title=title, upstream=model_type, auto=((AUTO, name),), stands_in=True)
