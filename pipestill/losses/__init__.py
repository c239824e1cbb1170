"""Losses as pure functions on tensors."""

IGNORED = -100  # label of a position that is not learned
CHUNK = 128  # supervised tokens whose logits are held at a time, where no setting says otherwise
