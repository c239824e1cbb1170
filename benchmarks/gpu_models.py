"""Parts ``qlora``, ``ranking`` and ``generation`` of ``gpu.py``: a random model of the shape of Qwen2.5-3B."""

import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import generation as writing
import label_ranking
import torch
from machine import Row, measured, not_measured
from training_step import make_rows, trainers

from pipestill.errors import UserError
from pipestill.inference.engines import Models, Place
from pipestill.io.files import write_sha256sums
from pipestill.job import programs
from pipestill.job.engines import engine_of
from pipestill.models.adapters import add_adapter
from pipestill.models.hardware import HardwarePlan, plan_here
from pipestill.models.libraries import import_libraries
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.settings.models import HardwareConfig
from pipestill.settings.training import LoraConfig

TOKENIZER = Path(__file__).parents[1] / "resources" / "models" / "demo-student"
QWEN = dict(hidden_size=2048, intermediate_size=11_008, num_hidden_layers=36, num_attention_heads=16)
QWEN |= dict(num_key_value_heads=2, vocab_size=151_936, max_position_embeddings=4096)
TINY = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
TINY |= dict(num_key_value_heads=2, vocab_size=32_000, max_position_embeddings=1024)
LIMIT_MB = 8000  # of the preset gpu-8gb
SETTINGS = {  # batch, batches to a step, checkpointing
    "batch 1, checkpointing": (1, 16, True),
    "batch 8": (8, 2, False),
}


def make_model(report):
    """The model in bfloat16 (of tiny ones in float32) on the device, without a file."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape = TINY if report.tiny else QWEN
    with torch.device(report.device):
        model = Qwen2ForCausalLM._from_config(
            Qwen2Config(**shape, tie_word_embeddings=True, attn_implementation="sdpa"),
            dtype=torch.float32 if report.tiny else torch.bfloat16,
        )
    return model.eval()


def write_model(report, directory: Path) -> Path:
    """The same on disk, with a tokenizer of fewer tokens."""
    make_model(report).save_pretrained(directory)
    load_tokenizer(TOKENIZER).save_pretrained(directory)
    write_sha256sums(directory)
    if report.device == "cuda":
        torch.cuda.empty_cache()  # others take what is free
    return directory


def _plan(report) -> HardwarePlan:
    hardware = HardwareConfig(device=report.device, precision="auto", quantization="nf4")
    return plan_here(hardware, "lora", torch.get_num_threads())


def qlora(report) -> None:
    """Training steps on 4-bit weights, adapters and optimizer as a job has them."""
    plan = _plan(report)
    if plan.quantization != "nf4":
        report.add("4-bit weights", partial(not_measured, "; ".join(plan.notes)))
        return
    import_libraries(four_bit=True)
    with TemporaryDirectory() as directory:
        base = write_model(report, Path(directory) / "base")
        trained = add_adapter(load_base_model(base, plan, training=True), LoraConfig(), plan)
        for name, (batch, accumulated, checkpointing) in SETTINGS.items():
            rows = make_rows(batch if report.tiny else batch * accumulated, trained.config.vocab_size)
            options = dict(per_device_train_batch_size=batch, use_cpu=report.device == "cpu", optim=plan.optimizer)
            options |= dict(bf16=plan.precision == "bf16")
            trained.train()
            if checkpointing:
                trained.gradient_checkpointing_enable({"use_reentrant": False})
            else:
                trained.gradient_checkpointing_disable()
            for way, trainer in trainers(trained, rows, Path(directory) / "run", **options).items():
                trainer.create_optimizer()
                step = partial(_step, trainer, len(rows) // batch)
                row = report.add(f"{name} {way}", partial(measured, step, report.device, 3))
                if "ms" in row:
                    row["tokens_per_s"] = round(1000 * sum(len(each["input_ids"]) for each in rows) / row["ms"])
                if "peak_mb" in row and checkpointing:
                    row["within_8_gb"] = row["peak_mb"] <= LIMIT_MB
            report.divide(f"{name} default", f"{name} ours", "to_ours")


def _step(trainer, batches: int) -> None:
    trainer.current_gradient_accumulation_steps = batches
    waiting = list(trainer.get_train_dataloader())
    items = trainer._get_num_items_in_batch(waiting, trainer.args.device)
    for batch in waiting:
        trainer.training_step(trainer.model, batch, items)
    trainer.optimizer.step()
    trainer.model.zero_grad()


def ranking(report) -> None:
    """Three labels of one to three tokens behind prompts, with and without a long shared beginning."""
    model = make_model(report)
    for setting in ("no_prefix", label_ranking.LONG):
        prompts, labels = label_ranking.build_data(setting, 2 if report.tiny else 48)
        for way, method in label_ranking.METHODS.items():
            row = report.add(
                f"{setting} {way}",
                partial(measured, partial(method, model, prompts, labels), report.device, 2, 8),
            )
            if "ms" in row:
                row["prompts_per_s"] = round(1000 * len(prompts) / row["ms"], 1)
        for way in ("seed", "harness"):
            report.divide(f"{setting} {way}", f"{setting} ours", "to_ours")


def generation(report) -> None:
    """Greedy answers; one by one only to the first prompts, since that takes long. Last comes vLLM, where it is
    installed, without its start."""
    model, draw = make_model(report), random.Random(7)
    longest = 60 if report.tiny else writing.LONGEST
    prompts = [
        [draw.randrange(10, 30_000) for _ in range(draw.randint(writing.SHORTEST, longest))]
        for _ in range(4 if report.tiny else writing.PROMPTS)
    ]
    writing.set_ends(model, varying=False)
    new, writing.NEW = writing.NEW, 4 if report.tiny else writing.NEW
    try:
        for way, answer in writing.WAYS.items():
            asked = prompts[:2] if way == "one by one" else prompts
            row = report.add(way, partial(measured, partial(answer, model, asked), report.device, 2, 20))
            if "ms" in row:
                row["written_tokens_per_s"] = round(1000 * len(asked) * writing.NEW / row["ms"], 1)
        del model
        report.add("vllm", partial(_vllm, report, prompts, writing.NEW))
    finally:
        writing.NEW = new
    report.divide("unsorted", "ours", "to_ours")
    report.divide("vllm", "ours", "to_ours")


def _vllm(report, prompts: list[list[int]], new: int) -> Row:
    if programs.find("vllm") is None:
        return not_measured(programs.missing("vllm"))
    plan = HardwarePlan(report.device, "fp32" if report.tiny else "bf16")
    written = []

    def ask(writer) -> None:
        written[:] = [answer.tokens for batch in writer(prompts, max_new_tokens=new) for _, answer in batch]

    with TemporaryDirectory() as directory:
        place = Place(Path(directory) / "state", tokens=1024)
        base = write_model(report, Path(directory) / "base")
        try:
            with engine_of("vllm").opened(Models(base, None), plan, place) as loaded:
                row = measured(partial(ask, loaded.writer), report.device, 2)
        except UserError as error:
            return not_measured(str(error))
    for key in ("peak_mb", "beyond_mb"):  # of this process, which holds nothing
        row.pop(key, None)
    if "ms" in row:
        row["written_tokens_per_s"] = round(1000 * sum(written) / row["ms"], 1)
    return row
