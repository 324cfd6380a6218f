"""The tokenizer of the small model: byte-level BPE that learns words, with a chat template.

Byte-level means that every text has tokens, whatever its script. Merges are learnt from the words of identifiers, so that
``parse_HTTPHeader`` has the tokens of ``parse``, ``HTTP`` and ``Header``, and a question in words meets a name in the code
token for token. Digits stay single. ``[1]`` to ``[9]`` are tokens of their own: a choice among cards is one token.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cia.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BEGIN, END = "<|pad|>", "<|begin|>", "<|end|>"
"""Padding; the start of every sequence; the end of a document and of a turn, where generation stops."""

ROLES = ("<|system|>", "<|user|>", "<|assistant|>")

NUMBERS = tuple(f"[{number}]" for number in range(1, 10))
"""What a card is cited by."""

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""``<|begin|><|user|>\\n...<|end|><|assistant|>\\n...<|end|>``."""

WORDS = r" ?[A-Z]?[a-z]+| ?[A-Z]+(?![a-z])| ?\d| ?[^\sA-Za-z\d]+|\s+"
"""What merges are learnt within: the words of a name in camel or snake case, with the blank before them.

Only learnt: text is cut as llama.cpp cuts it for "starcoder" (see ``runtimes/export/gguf_file.py``), which has no pattern for
camel case; the merges find its words all the same, since none of them crosses from a small letter to a capital.
"""

SMALLEST_VOCABULARY = 512
"""256 bytes, the special tokens, and some merges."""


def train_tokenizer(texts: Iterable[str], vocabulary: int, context_tokens: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most ``vocabulary`` tokens made from ``texts``; the same texts give the same tokenizer.

    Raises InputError when ``vocabulary`` is too small to hold every byte.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary < SMALLEST_VOCABULARY:
        raise InputError(f"a vocabulary of {vocabulary} is too small; it must be at least {SMALLEST_VOCABULARY}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary - len(NUMBERS),
            min_frequency=2,
            special_tokens=[PAD, BEGIN, END, *ROLES],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.add_tokens([AddedToken(number, normalized=False) for number in NUMBERS])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        model_max_length=context_tokens,
        clean_up_tokenization_spaces=False,
    )
