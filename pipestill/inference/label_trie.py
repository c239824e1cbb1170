"""Labels as a trie of tokens, so that a model reads what they share only once, and a batch of prompts with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pipestill.errors import UserError

Tokens = Sequence[Sequence[int]]  # token ids of several texts


@dataclass(frozen=True)
class LabelTrie:
    """The proper prefixes of all labels (nodes) and the tokens that follow them (edges).

    Node 0 is the end of the prompt. A label's last token is never read, only predicted: it is an edge, and becomes
    a node only where another label goes on behind it.

    Attributes:
        tokens: token of each node but the root, parents first.
        parents: parent of each node but the root.
        edges: (node, token that follows it), each once; those of the root come first.
        paths: for each label, the edges that it consists of.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    paths: tuple[tuple[int, ...], ...]

    @property
    def depths(self) -> list[int]:
        """Offset of each node but the root behind the prompt's end: 0 for a label's first token."""
        depths = [-1]
        for parent in self.parents:
            depths.append(depths[parent] + 1)
        return depths[1:]

    @property
    def first_edges(self) -> int:
        """How many different first tokens the labels have."""
        return sum(node == 0 for node, _ in self.edges)

    @property
    def first_tokens(self) -> list[int]:
        """The token that each label begins with."""
        return [self.edges[path[0]][1] for path in self.paths]


def build_trie(labels: Tokens) -> LabelTrie:
    """The trie of tokenised ``labels``.

    Raises:
        UserError: there is no label, one is empty, or two are the same tokens.
    """
    paths = [tuple(int(token) for token in label) for label in labels]
    if not paths:
        raise UserError("label ranking needs at least one label")
    for number, path in enumerate(paths):
        if not path:
            raise UserError(f"label {number} has no tokens: check its text and the tokenizer")
        first = paths.index(path)
        if first != number:
            raise UserError(f"labels {first} and {number} are the same tokens {list(path)}: give them different words")
    prefixes = {path[:end] for path in paths for end in range(len(path))}
    ordered = sorted(prefixes, key=lambda prefix: (len(prefix), prefix))
    node_of = {prefix: node for node, prefix in enumerate(ordered)}
    pairs = dict.fromkeys((node_of[path[:end]], path[end]) for path in paths for end in range(len(path)))
    edges = sorted(pairs)
    edge_of = {edge: number for number, edge in enumerate(edges)}
    return LabelTrie(
        tokens=tuple(prefix[-1] for prefix in ordered[1:]),
        parents=tuple(node_of[prefix[:-1]] for prefix in ordered[1:]),
        edges=tuple(edges),
        paths=tuple(tuple(edge_of[node_of[path[:end]], path[end]] for end in range(len(path))) for path in paths),
    )


def layout(prompts: Tokens, trie: LabelTrie, shared: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids ``[batch, columns]``, positions of the same shape, and what each column sees.

    The last is boolean, ``[batch, 1, columns, shared + columns]``. Columns are the longest prompt's tokens, then the
    trie's. A column of padding sees itself, since a softmax over nothing is not a number.
    """
    longest, nodes = max(map(len, prompts)), len(trie.tokens)
    columns = longest + nodes
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    padding = (longest - lengths)[:, None]
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) + list(trie.tokens) for p in prompts])
    offsets = torch.arange(longest) - padding
    depths = torch.tensor(trie.depths, dtype=torch.long)
    positions = shared + torch.cat([offsets.clamp(min=0), lengths[:, None] + depths], dim=1)

    itself = torch.eye(columns, dtype=torch.bool)
    structure = itself.clone()
    structure[:longest, :longest] = torch.ones(longest, longest, dtype=torch.bool).tril()
    structure[longest:, :longest] = True
    for node, parent in enumerate(trie.parents):
        if parent:
            structure[longest + node, longest:] |= structure[longest + parent - 1, longest:]
    real = torch.arange(columns) >= padding
    visible = structure & real[:, None, :] | itself
    prefix = torch.ones(len(prompts), columns, shared, dtype=torch.bool)
    return ids, positions, torch.cat([prefix, visible], dim=-1)[:, None]
