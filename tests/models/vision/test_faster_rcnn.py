"""Faster R-CNN with attributes: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import pytest

from hfmm.models.vision.faster_rcnn.configuration_faster_rcnn import FasterRcnnConfig
from hfmm.models.vision.faster_rcnn.modeling_faster_rcnn import FasterRcnnForObjectDetection
from tests.testing import ModelTests
from tests.testing_hub import Bundles

TINY = {"hidden_size": 8}


class TestFasterRcnn(ModelTests, Bundles):
    architecture = "faster_rcnn"
    model_class = FasterRcnnForObjectDetection

    def config(self):
        return FasterRcnnConfig(**TINY)

    def inputs(self):
        pytest.fail("FILL: tests/models/vision/test_faster_rcnn.py, the inputs of a batch of three")


def test_every_equation_and_check_of_the_sheet_is_here():
    pytest.fail("FILL: tests/models/vision/test_faster_rcnn.py, a named test for each equation and each line under Checks")
