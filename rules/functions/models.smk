"""Inputs and parameters of models.smk."""


def model_source(wildcards):
    """JSON that says where a base model comes from; shipped models are found from any working directory."""
    model = CONFIG.models[wildcards.model]
    if directory := model.locate(ROOT):
        model = model.model_copy(update={"path": os.path.relpath(directory)})
    return model.model_dump_json()


def model_identity(wildcards):
    """Digest of a local base model's list of checksums, so that a changed model is taken again."""
    directory = CONFIG.models[wildcards.model].locate(ROOT)
    listing = directory / "SHA256SUMS" if directory else None
    return sha256(listing) if listing and listing.is_file() else None


def checkpoint_path(wildcards):
    """Directory of a checkpoint on disk."""
    return CONFIG.studies[wildcards.study].checkpoints[wildcards.checkpoint].path


def checkpoint_identity(wildcards):
    """Digest of names, sizes and times of a checkpoint's files, so that a changed checkpoint is taken again."""
    files = sorted(path for path in Path(checkpoint_path(wildcards)).glob("*") if path.is_file())
    return json_digest([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files])
