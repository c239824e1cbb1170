"""The byte-level BPE that all of the project's own models share."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from pipestill.pretraining.corpus import mixture, repeat
from pipestill.pretraining.corpus.document import END_OF_TEXT, END_OF_TURN
from pipestill.tasks import lexicon

VOCABULARY = 1536
START_OF_TURN = "<|im_start|>"
MASK = "<|mask|>"
SENTINELS = tuple(f"<extra_id_{i}>" for i in range(16))  # T5's names
SPECIAL_TOKENS = (END_OF_TEXT, START_OF_TURN, END_OF_TURN, MASK, *SENTINELS)
PAD, END = SPECIAL_TOKENS.index(END_OF_TEXT), SPECIAL_TOKENS.index(END_OF_TURN)  # token ids
# Words with at most one mark before them, single digits, runs of marks, line ends, spaces: as Qwen's tokenizers split.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
CORPUS_SEED = "tokenizer 1"
DOCUMENTS = 24_000
LEXICON_REPEATS = 300  # in the corpus, rare words are too rare to become one token
LABEL_REPEATS = 2000


def training_texts(documents: int = DOCUMENTS) -> Iterator[str]:
    """Texts to learn the merges from: the mixture, then the lexicon after a space; label words also without one."""
    rng = Random(CORPUS_SEED)
    weights = mixture.document_weights(lambda document: len(document.text))
    yield from (document.text for document in islice(mixture.documents(rng, weights), documents))
    for word in repeat.words():
        yield from [f" {word}"] * LEXICON_REPEATS
    for word in lexicon.LABEL_WORDS:
        yield from [word, f" {word}"] * LABEL_REPEATS


def train_tokenizer(documents: int = DOCUMENTS):
    """Learn the merges and return a ``PreTrainedTokenizerFast``; ``<|endoftext|>`` pads, ``<|im_end|>`` ends."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator((text for text in training_texts(documents)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        mask_token=MASK,
        additional_special_tokens=[START_OF_TURN, *SENTINELS],
        chat_template=CHAT_TEMPLATE,
        model_max_length=1024,
        padding_side="right",
        truncation_side="right",
        clean_up_tokenization_spaces=False,
    )


def save_tokenizer(directory: Path, documents: int = DOCUMENTS) -> None:
    """Train the tokenizer and write its files, chat template included, into ``directory``."""
    train_tokenizer(documents).save_pretrained(str(directory))
