"""MTCNN with its released weights finds faces where they were put, and the verifier behind it compares them."""

from random import Random

import pytest
import torch
from PIL import Image

import hfmm
from hfmm import factory
from hfmm.models.vision.facenet.face_detector import TEMPLATE, FaceDetector, Faces, aligned, outermost, pyramid, squares
from hfmm.models.vision.facenet.face_verifier import FaceVerifier
from hfmm.nn.boxes import box_iou
from tests.testing import seeded, shared_data


@pytest.fixture(scope="module")
def detector():
    return FaceDetector.from_folder(shared_data("weights_mtcnn"))


@pytest.fixture(scope="module")
def faces():
    examples = hfmm.load_data(str(shared_data("orl_faces")), split="test", columns={"label": "subject"})
    return [examples[row]["image"] for row in range(0, 70, 10)]


def on_canvas(face, at, gray=150):
    canvas = Image.new("RGB", (320, 240), (gray,) * 3)
    canvas.paste(face, at)
    return canvas


def test_weights_load_strictly_and_have_the_published_counts(detector):
    counts = {name: sum(value.numel() for value in net.parameters()) for name, net in detector.named_children()}
    assert counts == {"pnet": 6_632, "rnet": 100_178, "onet": 389_040}


def test_faces_are_found_where_they_were_put(detector, faces):
    random = Random(0)
    overlaps = []
    for face in faces:
        x, y = random.randrange(320 - 92), random.randrange(240 - 112)
        found = detector(on_canvas(face, (x, y)))
        alone = detector(face)
        assert len(found.boxes) >= 1
        offset = torch.tensor([x, y, x, y])
        overlaps.append(float(box_iou(found.boxes[:1], alone.boxes[:1] + offset)[0, 0]))
        inside = found.landmarks[0] - offset[:2]
        assert ((inside > 0) & (inside < torch.tensor([92, 112]))).all()
        eye, other_eye, nose, mouth, other_mouth = found.landmarks[0]
        assert max(eye[1], other_eye[1]) < nose[1] < min(mouth[1], other_mouth[1])
        assert eye[0] < other_eye[0]
    assert sum(overlaps) / len(overlaps) > 0.8


def test_two_faces_are_two(detector, faces):
    canvas = on_canvas(faces[0], (10, 60))
    canvas.paste(faces[1], (200, 60))
    found = detector(canvas)
    assert len(found.boxes) == 2
    assert sorted(int(box[0] > 150) for box in found.boxes) == [0, 1]


def test_an_empty_picture_has_none(detector):
    found = detector(Image.new("RGB", (100, 80), (120, 120, 120)))
    assert isinstance(found, Faces)
    assert (found.boxes.shape, found.scores.shape, found.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert len(detector(Image.new("RGB", (10, 8))).boxes) == 0


def test_the_pyramid_ends_where_the_window_is_larger_than_the_picture():
    scales = list(pyramid(480, 640, 20))
    assert scales[0] == pytest.approx(0.6)
    assert scales[-1] * 480 >= 12 > scales[-1] * 0.709 * 480


def test_squares_keep_the_center():
    assert squares(torch.tensor([[0.0, 0.0, 10.0, 20.0]])).tolist() == [[-5.0, 0.0, 15.0, 20.0]]


def test_a_box_inside_a_better_one_is_dropped():
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 2, 5, 5], [20, 0, 30, 10]])
    assert outermost(boxes, torch.tensor([0.9, 0.8, 0.95]), 0.7).tolist() == [2, 0]


def test_alignment_brings_the_points_to_the_template():
    """A dot of light at each point, in a picture that is turned, zoomed and shifted, comes to lie where it belongs."""
    goal = torch.tensor(TEMPLATE) * 60
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    landmarks = 1.5 * goal @ turn.T + torch.tensor([70.0, 20.0])
    for point, there in zip(landmarks, goal, strict=True):
        image = Image.new("L", (200, 200))
        x, y = point.round().int().tolist()
        image.paste(255, (x - 2, y - 2, x + 3, y + 3))
        light = torch.tensor(list(aligned(image, landmarks, 60).tobytes())).view(60, 60).nonzero().float().mean(0)
        torch.testing.assert_close(light.flip(0), there, atol=1.5, rtol=0)


def test_the_verifier_looks_at_the_face_alone(detector, faces):
    with seeded():
        model = factory.create_model("facenet").eval()
    verifier = FaceVerifier(model, factory.create_processor("facenet"), 0.5, detector)
    here, there = on_canvas(faces[0], (20, 30)), on_canvas(faces[0], (180, 100))
    verdict = verifier.verify(here, there)
    assert verdict.same
    assert verdict.similarity > 0.95
    gallery = [on_canvas(face, (100, 50)) for face in faces]
    ((best, similarity), *others) = verifier.search(there, gallery, count=3)
    assert best == 0
    assert similarity >= others[0][1] >= others[1][1]
    with pytest.raises(ValueError, match="no face was found"):
        verifier.verify(here, Image.new("RGB", (100, 80)))


def test_without_a_detector_pictures_are_faces():
    with seeded():
        model = factory.create_model("facenet").eval()
    verifier = FaceVerifier(model, factory.create_processor("facenet"), threshold=2.0)
    picture = Image.effect_noise((64, 64), 50).convert("RGB")
    assert verifier.verify(picture, picture).similarity == pytest.approx(1, abs=1e-5)
    assert not verifier.verify(picture, picture).same
