"""Write a study's training file and its validation rows: balanced over classes if any, in the schema of the method."""

import argparse
from pathlib import Path

from pipestill.data.text_crop import character_ends, rationale_crop, token_ends
from pipestill.data.training_files import FORMATS, make_training_files
from pipestill.job.script import json_option, run
from pipestill.settings.data import CropConfig
from pipestill.text.sentences import SPLITTERS


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="name of the task")
    parser.add_argument("--format", choices=FORMATS, required=True, help="schema and split of the training file")
    parser.add_argument("--records", type=Path, required=True, help="cropped records")
    parser.add_argument("--outputs", type=Path, help="the teacher's outputs, where the format uses them")
    parser.add_argument("--rationales", type=Path, help="the annotation's answers, where the format uses them")
    parser.add_argument("--allow-missing", type=float, default=0.0, help="share of records that may have no rationale")
    parser.add_argument("--crop", type=json_option(CropConfig), help="JSON object that says how long rationales may be")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json whose tokens are counted there")
    parser.add_argument("--splitter", choices=SPLITTERS, default="sentencex", help="what finds sentences")
    parser.add_argument("--rows", type=int, help="training rows at most, of each class where there are classes")
    parser.add_argument("--share", type=float, default=1.0, help="share of these rows that is taken")
    parser.add_argument("--seed", type=int, required=True, help="seed of the draw")
    parser.add_argument("--train", type=Path, required=True, help="JSON Lines file to write")
    parser.add_argument("--validation", type=Path, required=True, help="JSON Lines file to write")
    args = parser.parse_args()
    explained = {}
    if args.rationales:
        ends = token_ends(args.tokenizer) if args.tokenizer else character_ends
        crop = rationale_crop(args.crop or CropConfig(), ends, args.splitter)
        explained = {"rationales": args.rationales, "allow_missing": args.allow_missing, "crop": crop}
    make_training_files(
        args.task,
        args.format,
        args.records,
        args.outputs,
        args.rows,
        args.seed,
        args.train,
        args.validation,
        share=args.share,
        **explained,
    )


if __name__ == "__main__":
    run(main)
