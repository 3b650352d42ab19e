"""Faster R-CNN's regions: which, in what form, and that the models which read them take them."""

import base64

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import hfmm
from hfmm.data.collate import coco_annotation
from hfmm.models.vision.faster_rcnn.image_processing_faster_rcnn import FasterRcnnImageProcessor
from hfmm.models.vision.faster_rcnn.modeling_faster_rcnn import FasterRcnnOutput, choose_regions, sure_of
from hfmm.models.vision.faster_rcnn.processing_faster_rcnn import (
    FasterRcnnRegionProcessor,
    batch_of,
    in_form,
    read_stored_regions,
)
from hfmm.nn.boxes import nms
from tests.models.vision.test_faster_rcnn import pictures, tiny_model
from tests.testing import assert_equal_outputs, seeded

WHOLE = torch.tensor([0.0, 0, 1, 1])


@pytest.fixture(scope="module")
def model():
    return tiny_model(pre_nms_proposals=200, num_proposals=40, rpn_overlap=0.99, feature_size=16)


@pytest.fixture(scope="module")
def processor(model):
    return FasterRcnnRegionProcessor(model, FasterRcnnImageProcessor(size={"height": 32, "width": 32}))


def photos(count=2):
    values = torch.randint(256, (count, 40, 50, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return [Image.fromarray(value.numpy()) for value in values]


def test_twenty_regions_are_the_whole_picture_and_nineteen(model):
    found = model.extract_regions(pictures(), num_regions=20, whole_image=True)
    plain = model.extract_regions(pictures(), num_regions=19)
    assert found.region_features.shape == (2, 20, 16)
    assert found.attention_mask.tolist() == [[1] * 20] * 2
    assert torch.equal(found.boxes[:, 0], WHOLE.expand(2, 4))
    torch.testing.assert_close(found.boxes[:, 1:], plain.boxes)
    torch.testing.assert_close(found.region_features[:, 1:], plain.region_features)


def test_exactly_36_regions(model):
    found = model.extract_regions(pictures(), num_regions=36)
    assert found.region_features.shape == (2, 36, 16)
    assert found.boxes.shape == (2, 36, 4)
    assert found.probabilities.shape == (2, 36, 4)
    assert found.scores.shape == found.labels.shape == found.attributes.shape == found.attention_mask.shape == (2, 36)
    torch.testing.assert_close(found.probabilities.sum(-1), torch.ones(2, 36))
    torch.testing.assert_close(found.scores, found.probabilities[..., :-1].amax(-1))
    with pytest.raises(ValueError, match="50 regions are asked for but num_proposals is 40"):
        model.extract_regions(pictures(), num_regions=50)


def test_boxes_are_kept_that_are_sure_but_ten_at_least():
    """Bottom-up attention's rule: of three above 0.2, ten are kept; of all above, the most."""
    sure = torch.linspace(0.19, 0.01, 30).repeat(2, 1)
    sure[0, [4, 7, 20]] = torch.tensor([0.5, 0.9, 0.2])
    sure[1] += 0.2
    order, mask = choose_regions(sure, 10, 25, 0.2)
    assert mask.sum(1).tolist() == [10, 25]
    assert order[0, :3].tolist() == [7, 4, 20]
    assert order[1].tolist() == list(range(25))
    _, mask = choose_regions(torch.tensor([[0.9, -1, -1], [0.1, 0.3, 0.2]]), 2, 3, 0.2)
    assert mask.tolist() == [[True, False], [True, True]]  # what is no box does not count


def test_a_box_is_as_sure_as_the_best_class_in_which_it_survives():
    low = torch.rand(2, 15, 2, generator=torch.Generator().manual_seed(0)) * 0.4
    boxes = torch.cat([low, low + 0.4], -1)
    scores = torch.rand(2, 15, 70, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros(2, 15)
    for picture in range(2):
        for kind in range(70):
            kept = nms(boxes[picture], scores[picture, :, kind], 0.3)
            expected[picture, kept] = torch.maximum(expected[picture, kept], scores[picture, kept, kind])
    assert torch.equal(sure_of(boxes, scores), expected)
    assert (sure_of(boxes, scores[..., :1]) == 0).any()


def test_a_picture_with_fewer_regions_is_filled_up_with_zeros():
    few = tiny_model(num_proposals=30, rpn_overlap=0.05)
    found = few.extract_regions(pictures(), num_regions=30)
    rest = found.attention_mask == 0
    assert found.boxes.shape == (2, 30, 4)
    assert rest.any()
    for values in (found.region_features, found.boxes, found.scores, found.labels, found.attributes):
        assert not values[rest].any()
    assert found.attention_mask.diff(dim=1).max() <= 0  # regions first


def test_features_of_given_boxes_follow_their_order(model):
    boxes = model.extract_regions(pictures(), num_regions=12).boxes
    found = model.extract_regions(pictures(), boxes=boxes)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    moved = model.extract_regions(pictures(), boxes=boxes[:, order])
    torch.testing.assert_close(moved.region_features, found.region_features[:, order])
    assert torch.equal(moved.boxes, boxes[:, order])


def test_lxmert_reads_the_regions(processor):
    regions = processor(photos(), form="lxmert", num_regions=36)
    assert {name: tuple(value.shape) for name, value in regions.items()} == {
        "visual_feats": (2, 36, 16), "visual_pos": (2, 36, 4), "visual_attention_mask": (2, 36)
    }  # fmt: skip
    assert 0 <= regions["visual_pos"].min() < regions["visual_pos"].max() <= 1
    config = transformers.LxmertConfig(
        vocab_size=20, hidden_size=8, num_attention_heads=2, intermediate_size=8, l_layers=1, x_layers=1, r_layers=1,
        visual_feat_dim=16,
    )  # fmt: skip
    with seeded(), torch.no_grad():
        reader = transformers.LxmertModel(config).eval()
        out = reader(input_ids=torch.ones(2, 5, dtype=torch.long), **regions)
    assert out.vision_output.shape == (2, 36, 8)
    assert out.pooled_output.isfinite().all()


def test_visual_bert_reads_the_regions(processor):
    regions = processor(photos(), form="visual_bert", num_regions=10)
    config = transformers.VisualBertConfig(
        vocab_size=20, hidden_size=8, num_attention_heads=2, intermediate_size=8, num_hidden_layers=1,
        visual_embedding_dim=16,
    )  # fmt: skip
    ids = torch.ones(2, 5, dtype=torch.long)
    with seeded(), torch.no_grad():
        out = transformers.VisualBertModel(config).eval()(input_ids=ids, attention_mask=ids, **regions)
    assert out.last_hidden_state.shape == (2, 15, 8)
    assert out.last_hidden_state.isfinite().all()


def test_locations_have_the_area(processor):
    regions = processor(photos(), form="vilbert", num_regions=10, whole_image=True)
    assert regions["visual_locations"][0, 0].tolist() == [0, 0, 1, 1, 1]
    boxes = regions["visual_locations"]
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    torch.testing.assert_close(boxes[..., 4], area)
    assert set(regions) == {"visual_embeds", "visual_locations", "visual_attention_mask"}


def test_regions_come_with_all_that_is_known(processor, model, tmp_path):
    regions = processor(photos())
    assert set(regions) == {
        "region_features", "boxes", "scores", "labels", "attributes", "probabilities", "attention_mask"
    }  # fmt: skip
    model.save_pretrained(tmp_path)
    processor.image_processor.save_pretrained(tmp_path)
    assert_equal_outputs(FasterRcnnRegionProcessor.from_pretrained(tmp_path)(photos()), regions, tolerance=1e-5)
    with pytest.raises(ValueError, match="no form of regions is called 'bert': there are regions, lxmert"):
        processor(photos(), form="bert")


def test_files_of_bottom_up_attention_are_read(tmp_path):
    def told(values):
        return base64.b64encode(values.astype("<f4").tobytes()).decode()

    boxes = [np.array([[0, 0, 100, 50], [10, 5, 20, 30.0]]), np.array([[0, 0, 40, 40.0]])]
    features = [np.arange(8.0).reshape(2, 4), np.ones((1, 4))]
    sizes = [(100, 50), (40, 80)]
    lines = [
        "\t".join([str(n), *map(str, sizes[n]), str(len(boxes[n])), told(boxes[n]), told(features[n])]) for n in (0, 1)
    ]
    path = tmp_path / "trainval_36.tsv"
    path.write_text("\n".join(lines) + "\n")
    first, second = read_stored_regions(path)
    assert (first.image_id, second.image_id) == ("0", "1")
    torch.testing.assert_close(first.boxes, torch.tensor([[0.0, 0, 1, 1], [0.1, 0.1, 0.2, 0.6]]))
    assert first.features.tolist() == features[0].tolist()
    read = in_form(batch_of([first, second]), "lxmert")
    assert read["visual_feats"].shape == (2, 2, 4)
    assert read["visual_attention_mask"].tolist() == [[1, 1], [1, 0]]
    path.write_text(lines[0].replace("\t2\t", "\t3\t"))
    with pytest.raises(ValueError, match="line 1 says 3 boxes but has 8 numbers of boxes"):
        list(read_stored_regions(path))
    path.write_text("1\t2\n")
    with pytest.raises(ValueError, match="line 1 has 2 columns"):
        list(read_stored_regions(path))


def test_the_processor_gives_the_first_attribute_of_objects():
    picture = Image.new("RGB", (40, 20))
    objects = [{"box": [10, 5, 20, 15], "label": 2, "attributes": [3, 8]}, {"box": [0, 0, 4, 4], "label": 0}]
    told = [coco_annotation(0, objects), coco_annotation(1, [])]
    labels = FasterRcnnImageProcessor()([picture, picture], annotations=told, return_tensors="pt")["labels"]
    assert labels[0]["attributes"].tolist() == [3, -1]
    assert labels[0]["class_labels"].tolist() == [2, 0]
    assert labels[1]["attributes"].shape == (0,)


def test_found_boxes_are_those_of_their_class_with_an_attribute():
    boxes = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    outputs = FasterRcnnOutput(
        pred_boxes=torch.stack([boxes, boxes.flip(0), boxes])[None],  # N = 3, K = 2
        scores=torch.tensor([[[0.9, 0.1], [0.1, 0.8], [0.6, 0.0]]]),
        attributes=torch.tensor([[4, 5, 6]]),
        attribute_scores=torch.tensor([[0.7, 0.6, 0.5]]),
    )
    (found,) = FasterRcnnImageProcessor().post_process_object_detection(outputs, target_sizes=[(20, 40)])
    assert found["labels"].tolist() == [0, 1]  # the third overlaps the first
    assert found["boxes"].tolist() == [[0, 0, 20, 10], [0, 0, 20, 10]]
    assert found["attributes"].tolist() == [4, 5]
    torch.testing.assert_close(found["attribute_scores"], torch.tensor([0.7, 0.6]))


def test_the_pipeline_detects(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    processor = FasterRcnnImageProcessor(size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path)
    pipe = transformers.pipeline("object-detection", str(tmp_path))
    assert type(pipe.image_processor) is FasterRcnnImageProcessor
    told = pipe(photos(1)[0], threshold=0.0)
    outputs = tiny_model()(**processor(photos(1), return_tensors="pt"))
    (found,) = processor.post_process_object_detection(outputs, 0.0, [(40, 50)])
    assert [entry["score"] for entry in told] == pytest.approx(found["scores"].tolist(), abs=1e-6)


def test_names_of_attributes_come_from_the_data(tmp_path):
    run = hfmm.train(
        "faster_rcnn", data="scenes:detection", output_dir=tmp_path / "run", max_steps=1, batch_size=2, quiet=True,
        overrides={"evaluation.size": 4},
    )  # fmt: skip
    scenes = hfmm.load_data("scenes:detection", split="test")
    assert run.load().model.config.id2attribute == dict(enumerate(scenes.attribute_names))
    assert {"map", "map_50", "map_75", "attribute_accuracy"} == set(run.metrics)
