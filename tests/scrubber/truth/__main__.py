"""`python -m tests.scrubber.truth`: make the data of a seed, scrub it, and list what was missed, by cause."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.scrubber.truth.causes import causes, summary
from tests.scrubber.truth.run import collect, scrub_each, scrub_folder, write_tree
from tests.scrubber.truth.score import score_tree
from tests.scrubber.truth.story import tell


def main() -> None:
    """Score one seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.scrubber.truth", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which data (default: 1)")
    parser.add_argument(
        "--folder", action="store_true", help="run `mft scrub` over a folder, not the function on each file"
    )
    parser.add_argument("--write", type=Path, metavar="DIR", help="lay the files down in DIR, and do no more")
    parser.add_argument("--only", default="", metavar="TEXT", help="files whose path holds TEXT")
    parser.add_argument("--examples", type=int, default=3, help="of each cause (default: 3)")
    arguments = parser.parse_args()
    tree = tell(arguments.seed)
    tree.files = {path: node for path, node in tree.files.items() if arguments.only in path}
    if arguments.write:
        write_tree(tree, arguments.write)
        return
    if arguments.folder:
        with tempfile.TemporaryDirectory() as scratch:
            here = Path(scratch)
            write_tree(tree, here / "in")
            print(scrub_folder(here / "in", here / "out", here / "key"))
            outputs = collect(tree, here / "out")
    else:
        outputs = scrub_each(tree)
    score = score_tree(tree, outputs)
    print("\n".join([*summary(score), *causes(score, arguments.examples)]))


if __name__ == "__main__":
    main()
