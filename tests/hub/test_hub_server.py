"""The Hub on loopback, as huggingface_hub sees it."""

from tests.hub_server import calls


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
        from pathlib import Path

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
            Path(api.hf_hub_download(name, "n", revision=revision)).read_text()
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
        from pathlib import Path

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
                found.append([type(error).__name__, error.response.status_code])
        return found, Path(hf_hub_download("me/secret", "n", token=read_token)).read_text()

    refused, read = hub.run(look, tmp_path, read_token=hub.read_token)
    assert refused == [
        ["RepositoryNotFoundError", 404], ["RemoteEntryNotFoundError", 404], ["RevisionNotFoundError", 404],
        ["RepositoryNotFoundError", 401], ["HfHubHTTPError", 401], ["HfHubHTTPError", 403],
        ["HfHubHTTPError", 403], ["HfHubHTTPError", 401], ["RemoteEntryNotFoundError", 404],
    ]  # fmt: skip
    assert read == "1"
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


def test_long_lists_come_in_pages(hub, tmp_path, monkeypatch):
    def fill():
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi()
        api.create_repo("me/long")
        for start in range(0, 6, 2):
            files = [CommitOperationAdd(f"{number}.txt", b"%d" % number) for number in (start, start + 1)]
            api.create_commit("me/long", files, commit_message=f"from {start}")
        tree = [entry.path for entry in api.list_repo_tree("me/long")]
        return tree, [commit.title for commit in api.list_repo_commits("me/long")]

    monkeypatch.setattr(calls, "PAGE", 3)
    tree, titles = hub.run(fill, tmp_path)
    assert tree == [".gitattributes", *(f"{number}.txt" for number in range(6))]
    assert titles == ["from 4", "from 2", "from 0", "initial commit"]
    assert [entry.query.rpartition("cursor=")[2] for entry in hub.requests("GET .*/tree/")][1:] == ["3", "6"]
