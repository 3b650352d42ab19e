"""`hfmm publish`: weights, code, processor, card and scores, to the Hub or to a folder."""

from collections.abc import Sequence

from hfmm.cli.common import Parser, talk


def run(words: Sequence[str]) -> None:
    parser = Parser("publish", "Publish a model with its code, card and scores, in one commit.")
    parser.add_argument("run", help="a run directory, a folder that save_pretrained wrote, or a metric's name")
    parser.add_argument("--repo-id", required=True, metavar="USER/NAME", help="on the Hub; made if it does not exist")
    parser.add_argument("--local-dir", metavar="OUT", help="write what would be pushed there, and push nothing")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", help="an existing branch; the main one by default")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead")
    parser.add_argument("--merge", action="store_true", help="add low-rank adapters to the weights they adapt")
    parser.add_argument("--space", action="store_true", help="publish the task's app on it, too, as a Space")
    given = parser.parse(words)
    from hfmm.hub.publish import publish

    done = publish(
        given.run,
        given.repo_id,
        local_dir=given.local_dir,
        private=given.private,
        revision=given.revision,
        create_pr=given.create_pr,
        merge=given.merge,
        space=given.space,
    )
    talk("written" if given.local_dir else "published", given.quiet)
    print(done)
