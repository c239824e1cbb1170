"""Inputs and parameters of submission.smk."""


def challenge_files(wildcards):
    """JSON that says where the documents of a challenge come from."""
    documents = CONFIG.studies[wildcards.study].submission.documents
    return canonical_json({name: file.model_dump(exclude_none=True) for name, file in documents.items()})


def challenge_digest(wildcards):
    """Digest of each local file of a challenge."""
    documents = CONFIG.studies[wildcards.study].submission.documents.values()
    return local_digests(file.path for file in documents if file.path is not None)


def submitted_records(wildcards):
    """Records of the documents that are submitted: those of a challenge, or the test records of the task."""
    if CONFIG.studies[wildcards.study].submission.documents:
        return f"<results>/data/{wildcards.study}/challenge.jsonl"
    return f"<results>/data/{task_of(wildcards)}/cropped.jsonl"


def submitted_predictions(wildcards):
    """Predictions for the documents that are submitted."""
    challenge = CONFIG.studies[wildcards.study].submission.documents
    return f"<results>/{wildcards.study}_{wildcards.method}/{'challenge' if challenge else 'predictions'}"
