"""Write the training file of an objective and its validation rows: balanced over classes if any, in its schema."""

import argparse

from pipestill.job.script import json_option, reads, run, writes
from pipestill.layouts.base import Cropping
from pipestill.methods import method_of
from pipestill.objectives.long_answers import room_for
from pipestill.objectives.training_file import write_training_file
from pipestill.settings.jobs import TrainingFileSettings
from pipestill.tasks import task_of
from pipestill.text.crop import unit_ends


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json_option(TrainingFileSettings), required=True, help="JSON object")
    parser.add_argument("--records", type=reads, required=True, help="cropped records")
    parser.add_argument("--outputs", type=reads, help="the teacher's outputs, where the objective uses them")
    parser.add_argument("--unlabelled", type=reads, help="records without gold outputs, where the objective uses them")
    parser.add_argument("--unlabelled-outputs", type=reads, help="the teacher's outputs for them")
    parser.add_argument("--rationales", type=reads, help="the annotation's answers, where the objective uses them")
    parser.add_argument("--tokenizer", type=reads, help="tokenizer.json whose tokens are counted in rationales")
    parser.add_argument("--learner", type=reads, help="base model that is trained on the rows, for its tokens")
    parser.add_argument("--train", type=writes, required=True, help="JSON Lines file to write")
    parser.add_argument("--validation", type=writes, required=True, help="JSON Lines file to write")
    parser.add_argument("--long-answers", type=writes, help="JSON file to write: how many answers were too long")
    args = parser.parse_args()
    settings, task = args.settings, task_of(args.settings)
    options = task.layout.Options.model_validate(settings.data)
    how = Cropping(settings.prompt, unit_ends(args.tokenizer), settings.splitter)
    names = ("records", "outputs", "unlabelled", "unlabelled_outputs", "rationales")
    names += ("train", "validation", "long_answers")
    wording = settings.prompt.fill(dict.fromkeys(task.inputs, ""))
    write_training_file(
        task,
        method_of(settings.method).objective,
        settings,
        {name: getattr(args, name) for name in names},
        lambda rationale, record: task.layout.crop_rationale(rationale, record, options, how),
        room_for(settings.max_length, settings.on_long_answer, args.learner, wording),
    )


if __name__ == "__main__":
    run(main)
