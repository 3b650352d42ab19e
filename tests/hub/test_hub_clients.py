"""The Hub on loopback, as transformers, datasets and evaluate see it, and the processes in which they run."""

import pytest

from tests.hub_server.child import ChildError


def test_transformers_pushes_and_loads_with_code(hub, tmp_path):
    def push():
        import torch
        from net import Net, NetConfig

        NetConfig.register_for_auto_class()
        Net.register_for_auto_class("AutoModel")
        torch.manual_seed(0)
        model = Net(NetConfig(width=4))
        model.push_to_hub("net", private=True)
        return model(torch.ones(1, 4)).tolist()

    def load():
        import torch
        from transformers import AutoModel

        model = AutoModel.from_pretrained("me/net", trust_remote_code=True)
        kinds = [type(model.config) is model.config_class, type(model).__module__.startswith("transformers_modules")]
        try:
            AutoModel.from_pretrained("me/net")
        except ValueError as error:
            return kinds, model(torch.ones(1, 4)).tolist(), "trust_remote_code=True" in str(error)

    (tmp_path / "pushing").mkdir()
    (tmp_path / "pushing" / "net.py").write_text(NET)
    expected = hub.run(push, tmp_path / "pushing")
    assert hub.repository("me/net").private
    assert hub.run(load, tmp_path / "loading") == [[True, True], expected, True]
    assert hub.snapshot("me/net").keys() >= {"README.md", "config.json", "model.safetensors", "net.py"}


NET = """
import torch
from transformers import PreTrainedConfig, PreTrainedModel

class NetConfig(PreTrainedConfig):
    model_type = "test_net"
    width: int = 2

class Net(PreTrainedModel):
    config_class = NetConfig
    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(config.width, 3)
        self.post_init()
    def _init_weights(self, module):
        pass
    def forward(self, x):
        return self.layer(x)
"""


def test_datasets_are_pushed_loaded_and_streamed(hub, tmp_path):
    def push():
        import datasets
        from PIL import Image

        pictures = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(10)]
        rows = datasets.Dataset.from_dict({"image": pictures, "text": [f"picture {i}" for i in range(10)]})
        rows = rows.cast_column("image", datasets.Image())
        datasets.DatasetDict({"train": rows, "test": rows.select([1, 2])}).push_to_hub(
            "me/pictures", num_shards={"train": 2, "test": 1}
        )

    def load():
        import datasets

        whole = datasets.load_dataset("me/pictures", split="train")
        stream = datasets.load_dataset("me/pictures", split="test", streaming=True)
        return [row["text"] for row in whole], [row["image"].getpixel((0, 0))[0] for row in stream]

    hub.run(push, tmp_path / "pushing")
    texts, reds = hub.run(load, tmp_path / "loading")
    assert texts == [f"picture {i}" for i in range(10)]
    assert reds == [1, 2]
    assert sum(path.endswith(".parquet") for path in hub.snapshot("me/pictures", "datasets")) == 3
    assert {entry.status for entry in hub.requests("GET .*parquet") if entry.range} == {206}


def test_evaluate_loads_a_metric_of_a_space(hub, tmp_path):
    def push(source):
        from huggingface_hub import HfApi

        HfApi().create_repo("me/count", repo_type="space", space_sdk="gradio")
        HfApi().upload_file(
            path_or_fileobj=source.encode(), path_in_repo="count.py", repo_id="me/count", repo_type="space"
        )

    def load():
        import evaluate

        try:
            evaluate.load("me/absent")
        except FileNotFoundError:
            return evaluate.load("me/count").compute(predictions=[1, 2], references=[1, 3])

    hub.run(push, tmp_path / "pushing", source=COUNT)
    assert hub.run(load, tmp_path / "loading") == {"count": 1}


COUNT = """
import datasets
import evaluate

class Count(evaluate.Metric):
    def _info(self):
        fields = {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(fields))
    def _compute(self, predictions, references):
        return {"count": sum(a == b for a, b in zip(predictions, references))}
"""


def test_an_error_of_a_child_is_told(hub, tmp_path):
    def fail():
        raise KeyError("what was said")

    with pytest.raises(ChildError, match="KeyError: 'what was said'") as caught:
        hub.run(fail, tmp_path)
    assert caught.value.kind == "KeyError"


def test_a_child_reaches_loopback_only_and_lacks_what_it_must(hub, tmp_path):
    def reach():
        import socket

        told = []
        for call in (
            lambda: socket.create_connection(("8.8.8.8", 53), timeout=1),
            lambda: socket.create_connection(("huggingface.co", 443), timeout=1),
            lambda: __import__("hfmm"),
        ):
            try:
                call()
            except (OSError, ImportError) as error:
                told.append(type(error).__name__)
        return told

    assert hub.run(reach, tmp_path, without=("hfmm",)) == ["gaierror", "gaierror", "ModuleNotFoundError"]


def test_diffusers_pushes_and_loads_a_pipeline(hub, tmp_path):
    pytest.importorskip("diffusers")

    def push():
        from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel

        blocks = {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}
        unet = UNet2DModel(sample_size=8, block_out_channels=[8], norm_num_groups=4, layers_per_block=1, **blocks)
        DDPMPipeline(unet, DDIMScheduler(num_train_timesteps=10)).push_to_hub("me/drawer")
        return float(sum(value.double().sum() for value in unet.state_dict().values()))

    def load():
        from diffusers import DiffusionPipeline

        unet = DiffusionPipeline.from_pretrained("me/drawer").unet
        return float(sum(value.double().sum() for value in unet.state_dict().values()))

    total = hub.run(push, tmp_path / "pushing")
    assert hub.run(load, tmp_path / "loading") == total
    assert {"model_index.json", "unet/config.json"} <= hub.snapshot("me/drawer").keys()
