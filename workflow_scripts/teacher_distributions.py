"""Check that shards of teacher distributions belong together and are whole, and list them in one manifest."""

import argparse

from pipestill.job.script import reads, run, writes


def main() -> None:
    """Parse the command line and write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=reads, required=True, nargs="+", help="shard_<i>.json of every shard")
    parser.add_argument("--output", type=writes, required=True, help="manifest.json to write")
    args = parser.parse_args()
    from pipestill.teacher.distributions.manifest import write_manifest

    write_manifest(args.facts, args.output)


if __name__ == "__main__":
    run(main)
