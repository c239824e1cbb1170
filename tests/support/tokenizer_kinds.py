"""Small tokenizers of the kinds that published models have, and directories of tiny random models with them."""

from pathlib import Path

from pipestill.io.files import write_sha256sums
from support.models import TEMPLATE, make_bert, make_t5

TEXTS = ["Age: 23.0, Occupation: Scientist, Outstanding Debt: 809.98, Good Standard Bad"] * 9
CHARS = sorted(set("".join(chr(code) for code in range(32, 127)) + "\n▁"))
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + m['role'] + '\n' + m['content'] | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SENTINELS = [f"<extra_id_{number}>" for number in range(3)]


def _fast(raw, before=(), behind=(), **names):
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    template = names.pop("chat_template", None)
    if before or behind:
        ids = [(token, raw.token_to_id(token)) for token in (*before, *behind)]
        raw.post_processor = TemplateProcessing(single=[*before, "$A", *behind], special_tokens=ids)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, **names)
    tokenizer.chat_template = template
    return tokenizer


def _byte_level(special, plain=()):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    raw.add_tokens([AddedToken(token, special=False) for token in plain])
    return raw


def _metaspace(special, plain=(), prefix=True):
    """As of Llama 2 and Gemma: blanks are a character of the vocabulary, which the first word has too, or not."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers

    raw = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    blanks = normalizers.Replace(" ", "▁")
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks]) if prefix else blanks
    steps = [decoders.Replace("▁", " "), decoders.Fuse()]
    raw.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", *special], initial_alphabet=CHARS, show_progress=False
    )
    raw.train_from_iterator(TEXTS, trainer)
    raw.add_tokens([AddedToken(token, special=False) for token in plain])
    return raw


def qwen():
    raw = _byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["<tool_call>"])
    return _fast(raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE)


def hermes():
    """The tokens of turns are no special ones."""
    raw = _byte_level(["<|endoftext|>"], ["<|im_start|>", "<|im_end|>"])
    return _fast(raw, eos_token="<|endoftext|>", chat_template=TEMPLATE)


def gpt2():
    raw = _byte_level(["<|endoftext|>"])
    return _fast(raw, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def llama2():
    return _fast(_metaspace(["<s>", "</s>"]), ["<s>"], bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def eager():
    """Ends a text by itself."""
    raw = _metaspace(["<s>", "</s>"])
    return _fast(raw, ["<s>"], ["</s>"], bos_token="<s>", eos_token="</s>", pad_token="</s>", unk_token="<unk>")


def llama3():
    control = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    names = dict(bos_token=control[0], eos_token=control[1], chat_template=LLAMA3)
    return _fast(_byte_level(control), control[:1], **names)


def gemma():
    raw = _metaspace(["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"], ["\n\n", "<h1>"], prefix=False)
    names = dict(bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", chat_template=GEMMA)
    return _fast(raw, ["<bos>"], **names)


def t5():
    """Control tokens are pieces of the unigram model, and the likeliest ones."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    words = sorted({f"▁{word}" for word in TEXTS[0].split()})
    control = ["<pad>", "</s>", "<unk>"]
    pieces = [(token, 0.0) for token in control] + [(word, -3.0) for word in words]
    pieces += [(char, -8.0) for char in ["▁", *CHARS[2:-1]]] + [(token, 0.0) for token in SENTINELS]
    raw = Tokenizer(models.Unigram(pieces, unk_id=2))
    raw.normalizer = normalizers.NFKC()
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*control, *SENTINELS)])
    return _fast(raw, (), ["</s>"], eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def bert():
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    chars = [char.lower() for char in CHARS if char.strip() and char == char.lower()]
    words = sorted({word.strip(",.:").lower() for word in TEXTS[0].split()} - set(chars))
    tokens = dict.fromkeys([*control, *chars, *(f"##{char}" for char in chars if char.isalnum()), *words])
    raw = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.WordPiece()
    raw.add_special_tokens(control)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return _fast(raw, ["[CLS]"], ["[SEP]"], **names)


DECODERS = {each.__name__: each for each in (qwen, hermes, gpt2, llama2, eager, llama3, gemma, bert)}
KINDS = DECODERS | {"t5": t5}
SHAPE = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)

T5 = dict(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_decoder_layers=1, num_heads=2)


def make_masked_directory(directory: Path, seed: int = 0, **config) -> Path:
    """A tiny random BERT, whose tokenizer puts ``[CLS]`` before a text and ``[SEP]`` behind it."""
    directory.mkdir(parents=True)
    tokenizer = bert()
    tokenizer.save_pretrained(directory)
    still = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.15)
    make_bert(len(tokenizer), seed, **(still | config)).save_pretrained(directory)
    write_sha256sums(directory)
    return directory


def make_directory_with(directory: Path, tokenizer, rows: int | None = None) -> Path:
    """A tiny random Llama with ``tokenizer``, or a T5 with its own; ``rows`` of the embedding, where they differ."""
    from transformers import LlamaConfig, LlamaForCausalLM

    directory.mkdir(parents=True)
    tokenizer.save_pretrained(directory)
    rows = rows or len(tokenizer)
    own = "<extra_id_0>" in tokenizer.get_vocab()
    model = make_t5(rows, **T5) if own else LlamaForCausalLM(LlamaConfig(vocab_size=rows, **SHAPE))
    model.save_pretrained(directory)
    write_sha256sums(directory)
    return directory
