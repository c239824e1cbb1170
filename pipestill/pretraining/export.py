"""Writes a pre-trained model as ``from_pretrained`` reads it, and fingerprints its training."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from pipestill.pretraining.tokenizer import END, PAD

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SAMPLED_STEPS = 4


def fingerprint(recipe, tokenizer) -> str:
    """Digest of the recipe and of the first batches: another tokenizer, corpus or packing gives other batches."""
    from pipestill.pretraining.pretrain import corpus_batches

    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    batches = corpus_batches(recipe, tokenizer)
    for step in range(SAMPLED_STEPS):
        digest.update(batches(step).content())
    return digest.hexdigest()


def export_model(model, tokenizer_dir: Path, directory: Path) -> None:
    """Write weights in bfloat16, configurations and tokenizer files into the existing ``directory``."""
    import torch
    from transformers import GenerationConfig

    exported = type(model)(model.config)
    exported.load_state_dict(model.state_dict())
    exported = exported.to(torch.bfloat16)
    if exported.can_generate():
        ends = {"eos_token_id": END, "pad_token_id": PAD}
        if exported.config.is_encoder_decoder:
            ends["decoder_start_token_id"] = exported.config.decoder_start_token_id
        exported.generation_config = GenerationConfig(do_sample=False, max_new_tokens=256, **ends)
    exported.save_pretrained(str(directory))
    for name in TOKENIZER_FILES:
        shutil.copyfile(Path(tokenizer_dir) / name, Path(directory) / name)
