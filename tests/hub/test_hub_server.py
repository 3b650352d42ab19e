"""The Hub on loopback, as the real clients see it."""

import pytest

from tests.hub_server.child import ChildError


def make(folder, **files):
    """Write files, `_` in their names for `.`."""
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_who_asks(hub, tmp_path):
    def ask(read_token):
        from huggingface_hub import HfApi

        found = [HfApi().whoami()["name"], HfApi(token=read_token).whoami()["auth"]["accessToken"]["role"]]
        try:
            HfApi(token="hf_wrong").whoami()
        except Exception as error:
            return [*found, error.response.status_code, str(error)]

    name, role, status, text = hub.run(ask, tmp_path, read_token=hub.read_token)
    assert [name, role, status] == ["me", "read", 401]
    assert "Invalid user token" in text


def test_repositories_are_created_changed_and_deleted(hub, tmp_path):
    def change():
        from huggingface_hub import HfApi

        api = HfApi()
        found = [api.create_repo("made").repo_id]
        for kind, more in (("dataset", {}), ("space", {"space_sdk": "gradio"})):
            url = api.create_repo("me/made", repo_type=kind, private=True, **more)
            found.append([url.repo_id, url.repo_type, api.repo_info("me/made", repo_type=kind).private])
        try:
            api.create_repo("made")
        except Exception as error:
            found.append(error.response.status_code)
        found.append(api.create_repo("made", exist_ok=True).repo_id)
        api.update_repo_settings("me/made", private=True)
        found.append(api.model_info("me/made").private)
        api.delete_repo("me/made")
        found.append(api.repo_exists("me/made"))
        api.delete_repo("me/made", missing_ok=True)
        return found

    assert hub.run(change, tmp_path) == [
        "me/made", ["me/made", "dataset", True], ["me/made", "space", True], 409, "me/made", True, False,
    ]  # fmt: skip


def test_files_go_up_are_listed_come_down_and_go_away(hub, tmp_path):
    def travel(folder):
        from pathlib import Path

        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api, name = HfApi(), "me/files"
        api.create_repo(name)
        api.upload_file(path_or_fileobj=b"one", path_in_repo="a/b/one.txt", repo_id=name)
        folded = api.upload_folder(repo_id=name, folder_path=folder)
        again = api.upload_folder(repo_id=name, folder_path=folder)  # nothing changed: no commit
        whole = Path(api.snapshot_download(name))
        found = {
            "listed": api.list_repo_files(name),
            "tree": [entry.path for entry in api.list_repo_tree(name)],
            "folder": [entry.path for entry in api.list_repo_tree(name, "a", recursive=True, expand=True)],
            "info": [entry.path for entry in api.get_paths_info(name, ["a", "w.safetensors", "none"])],
            "sizes": {file.rfilename: file.size for file in api.model_info(name, files_metadata=True).siblings},
            "commits": [commit.title for commit in api.list_repo_commits(name)],
            "same": folded.oid == again.oid == api.model_info(name).sha,
            "whole": sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()),
            "weights": len((whole / "w.safetensors").read_bytes()),
            "one": Path(api.hf_hub_download(name, "a/b/one.txt")).read_text(),
            "exist": [api.file_exists(name, "a/b/one.txt"), api.file_exists(name, "two.txt")],
        }
        changes = [CommitOperationDelete("a/"), CommitOperationAdd("two.txt", b"two")]
        api.create_commit(name, changes, commit_message="replace")
        api.delete_file("w.safetensors", name)
        return found | {"left": api.list_repo_files(name)}

    folder = make(tmp_path / "sent", README_md=b"---\nlicense: mit\n---\n", w_safetensors=bytes(range(256)) * 400)
    found = hub.run(travel, tmp_path, folder=folder)
    everything = [".gitattributes", "README.md", "a/b/one.txt", "w.safetensors"]
    assert found["listed"] == found["whole"] == sorted(found["sizes"]) == everything
    assert found["tree"] == [".gitattributes", "README.md", "a", "w.safetensors"]
    assert found["folder"] == ["a/b", "a/b/one.txt"]
    assert found["info"] == ["a", "w.safetensors"]
    assert found["sizes"]["w.safetensors"] == found["weights"] == 102400
    assert len(found["commits"]) == 3
    assert found["same"]
    assert [found["one"], *found["exist"]] == ["one", True, False]
    assert found["left"] == [".gitattributes", "README.md", "two.txt"]
    assert [entry.received for entry in hub.requests("PUT /large/models/me/files")] == [102400]


def test_branches_tags_parents_and_pull_requests(hub, tmp_path):
    def branch():
        from huggingface_hub import HfApi

        api, name = HfApi(), "me/branches"
        api.create_repo(name)
        first = api.upload_file(path_or_fileobj=b"1", path_in_repo="n", repo_id=name)
        api.create_tag(name, tag="v1")
        api.create_branch(name, branch="next/one")
        api.upload_file(path_or_fileobj=b"2", path_in_repo="n", repo_id=name, revision="next/one")
        proposed = api.upload_file(path_or_fileobj=b"3", path_in_repo="n", repo_id=name, create_pr=True)
        refs = api.list_repo_refs(name, include_pull_requests=True)
        read = [
            open(api.hf_hub_download(name, "n", revision=revision)).read()
            for revision in ("main", "v1", "next/one", proposed.pr_revision, first.oid, first.oid[:8])
        ]
        refused = []
        for revision, parent in (("main", "0" * 40), ("nowhere", None), ("v1", None)):
            try:
                api.upload_file(
                    path_or_fileobj=b"4", path_in_repo="n", repo_id=name, revision=revision, parent_commit=parent
                )
            except Exception as error:
                refused.append([type(error).__name__, error.response.status_code])
        api.upload_file(path_or_fileobj=b"5", path_in_repo="n", repo_id=name, parent_commit=first.oid)
        api.delete_tag(name, tag="v1")
        api.delete_branch(name, branch="next/one")
        after = api.list_repo_refs(name)
        names = [[ref.name for ref in group] for group in (refs.branches, refs.tags, after.branches, after.tags)]
        return read, names, [ref.ref for ref in refs.pull_requests], refused

    read, names, pull_requests, refused = hub.run(branch, tmp_path)
    assert read == ["1", "1", "2", "3", "1", "1"]
    assert names == [["main", "next/one"], ["v1"], ["main"], []]
    assert pull_requests == ["refs/pr/1"]
    assert refused == [["HfHubHTTPError", 412], ["RevisionNotFoundError", 404], ["BadRequestError", 400]]
    assert hub.snapshot("me/branches")["n"] == b"5"


def test_what_is_not_there_is_told_apart(hub, tmp_path):
    def look(read_token):
        from huggingface_hub import HfApi, hf_hub_download

        api = HfApi()
        api.create_repo("me/secret", private=True)
        api.upload_file(path_or_fileobj=b"1", path_in_repo="n", repo_id="me/secret")
        calls = [
            lambda: hf_hub_download("me/nothing", "n"),
            lambda: hf_hub_download("me/secret", "m"),
            lambda: hf_hub_download("me/secret", "n", revision="v9"),
            lambda: hf_hub_download("me/secret", "n", token=False),
            lambda: hf_hub_download("me/secret", "n", token="hf_wrong"),
            lambda: HfApi(token=read_token).upload_file(path_or_fileobj=b"", path_in_repo="m", repo_id="me/secret"),
            lambda: api.create_repo("you/mine"),
            lambda: HfApi(token=False).upload_file(path_or_fileobj=b"", path_in_repo="m", repo_id="me/secret"),
            lambda: api.delete_file("m", "me/secret"),
        ]
        found = []
        for call in calls:
            try:
                found.append(call())
            except Exception as error:
                found.append([type(error).__name__, error.response.status_code if hasattr(error, "response") else 0])
        return found, open(hf_hub_download("me/secret", "n", token=read_token)).read()

    refused, read = hub.run(look, tmp_path, read_token=hub.read_token)
    assert [status for _, status in refused if status] and read == "1"
    print(refused)
    assert hub.snapshot("me/secret").keys() == {".gitattributes", "n"}


def test_cards_are_validated(hub, tmp_path):
    def validate():
        from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData

        result = EvalResult("image-to-text", "scenes", "Scenes", "bleu", 0.5)
        data = ModelCardData(license="apache-2.0", model_name="sat", eval_results=[result], tags=["a"])
        good = ModelCard(f"---\n{data.to_yaml()}\n---\n# Good")
        good.validate()
        api = HfApi()
        api.create_repo("me/card")
        good.push_to_hub("me/card")
        told = [
            ModelCard.load("me/card").data.eval_results[0].metric_value,
            api.model_info("me/card").card_data.license,
        ]
        for text in ("license: nobody's", "license: [", "license: mit\nmodel-index: [{results: []}]"):
            try:
                api.upload_file(
                    path_or_fileobj=f"---\n{text}\n---\n".encode(), path_in_repo="README.md", repo_id="me/card"
                )
            except ValueError as error:
                told.append(str(error).splitlines()[-1][:30])
        return told

    value, license_name, *refused = hub.run(validate, tmp_path)
    assert [value, license_name] == [0.5, "apache-2.0"]
    assert len(refused) == 3
    assert '"license" must be one of' in refused[0]
    assert "# Good" in hub.snapshot("me/card")["README.md"].decode()


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

    make(tmp_path / "pushing", net_py=NET.encode())
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

    assert hub.run(reach, tmp_path, without=("hfmm",)) == ["OSError", "gaierror", "ModuleNotFoundError"]
