"""GoogLeNet: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import pytest

from hfmm.models.vision.googlenet.configuration_googlenet import GooglenetConfig
from hfmm.models.vision.googlenet.modeling_googlenet import GooglenetForImageClassification
from tests.testing import ModelTests
from tests.testing_hub import Bundles

TINY = {"hidden_size": 8}


class TestGooglenet(ModelTests, Bundles):
    architecture = "googlenet"
    model_class = GooglenetForImageClassification

    def config(self):
        return GooglenetConfig(**TINY)

    def inputs(self):
        pytest.fail("FILL: tests/models/vision/test_googlenet.py, the inputs of a batch of three")


def test_every_equation_and_check_of_the_sheet_is_here():
    pytest.fail("FILL: tests/models/vision/test_googlenet.py, a named test for each equation and each line under Checks")
