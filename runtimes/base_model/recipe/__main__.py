"""Makes the base model from its pinned packages: ``python -m runtimes.base_model.recipe --work FOLDER``.

    python -m runtimes.base_model.recipe --work ~/base-model                   # an hour on a free core; killed, it goes on
    python -m runtimes.base_model.recipe --work ~/more --start ~/base-model/model --rate 3e-4 --tokens 500000 --groups 20

The second trains a model further. ``FOLDER/model`` is what was made. Each step keeps what it made in FOLDER, to do it once.
Needs the package index.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cia.dataset.from_code import read_code_base
from cia.durable_files import replace_directory, replace_text
from cia.errors import CiaError
from cia.settings import Settings
from runtimes.base_model.recipe.encoding import EncodedGroup, choice_tokens, encode
from runtimes.base_model.recipe.groups import Group, groups_of, read_groups, write_groups
from runtimes.base_model.recipe.packages import DEVELOPMENT, bring, licence_of, training_packages
from runtimes.base_model.recipe.scoring import score, single_questions
from runtimes.base_model.recipe.start import CONTEXT_TOKENS, starting_model
from runtimes.base_model.recipe.training import Progress, Schedule, train
from runtimes.base_model.shipped import CHECKSUMS
from runtimes.processor import limit_threads
from runtimes.quiet import quiet_libraries
from runtimes.tokenizer import train_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY, HIDDEN, INNER, LAYERS = 12_288, 256, 512, 6
SEED = 1
DEVELOPMENT_QUESTIONS = 50
"""Of each repository."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do each step that is not done yet; return the exit code."""
    options = _parser().parse_args(arguments)
    work: Path = options.work.absolute()
    settings = Settings(home=work / "home")
    quiet_libraries()
    limit_threads()
    try:
        groups = list(_training_groups(training_packages(), settings, work, options.groups))
        development = [group for pinned in DEVELOPMENT for group in single_questions(pinned, settings, DEVELOPMENT_QUESTIONS)]
        tokenizer = _tokenizer(groups, options.start or work / "tokenizer")
        encoded = list(encode(groups, tokenizer))
        model = _model(tokenizer, encoded, options.start)

        def look(model: LlamaForCausalLM) -> dict[str, float]:
            found = score(model, tokenizer, development)
            return {name: getattr(found, name).rate for name in ("answered", "forced", "abstained")}

        _tell(f"{len(groups)} groups of {sum(group.length for group in encoded):,} tokens; at the start {look(model)}")
        schedule = Schedule(tokens=options.tokens, rate=options.rate, seed=options.seed)
        done = train(model, encoded, choice_tokens(tokenizer), schedule, work / "state.pt", look, _tell)
        write_model(model, tokenizer, done, work / "model")
    except CiaError as error:
        print(f"runtimes.base_model.recipe: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _training_groups(packages: Sequence[str], settings: Settings, work: Path, most: int) -> Iterator[Group]:
    for pinned in packages:
        path = work / "groups" / f"{pinned}.jsonl"
        if not path.exists():
            licence = licence_of(pinned, settings)
            code = read_code_base(bring(pinned, settings), settings.chunking)
            write_groups(groups_of(code, most, SEED), path)
            _tell(f"{pinned} ({licence})")
        yield from read_groups(path)[:most]


def _tokenizer(groups: Sequence[Group], path: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    if not path.exists():
        made = train_tokenizer(_texts(groups), VOCABULARY, CONTEXT_TOKENS)
        with replace_directory(path) as staging:
            made.save_pretrained(staging)
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(path)
    return tokenizer


def _model(tokenizer: PreTrainedTokenizerFast, groups: Sequence[EncodedGroup], start: Path | None) -> LlamaForCausalLM:
    from transformers import LlamaForCausalLM

    if start is not None:
        model: LlamaForCausalLM = LlamaForCausalLM.from_pretrained(start, dtype="float32")
        return model
    ids = np.concatenate([ids for group in groups for ids in (group.cards, *(question.ids for question in group.questions))])
    return starting_model(tokenizer, ids, HIDDEN, INNER, LAYERS, SEED)


def _texts(groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        text = "\n".join([*group.cards, *(question.text for question in group.questions)])
        yield text
        # A name's words stand without a blank before them, those of a sentence with one: each form shall be whole.
        yield text.replace(" ", "\n").replace("_", "\n")


def write_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, done: Progress, folder: Path) -> None:
    """Write a Hugging Face folder in bf16, with the checksums of what a model is loaded from and the curve of its training."""
    from transformers import GenerationConfig

    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    model.generation_config = GenerationConfig(max_new_tokens=16, **{name: getattr(tokenizer, name) for name in names})
    with replace_directory(folder) as staging:
        model.bfloat16().save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        files = sorted(staging.iterdir())
        for file in files:
            file.chmod(0o644)  # safetensors writes 0600, and vLLM may run as another user
        listed = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
        replace_text(staging / CHECKSUMS, listed)
        facts = {"step": done.step, "tokens": done.tokens, "questions": done.questions, "seconds": round(done.seconds)}
        curve = [{name: round(value, 4) for name, value in point.items()} for point in done.curve]
        replace_text(staging / "training.json", json.dumps({**facts, "curve": curve}, indent=1) + "\n")


def _tell(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtimes.base_model.recipe", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder for the packages, the groups, the state and the model.")
    parser.add_argument("--groups", type=int, default=150, help="Groups from each package, at most.")
    parser.add_argument("--tokens", type=int, default=Schedule().tokens, help="Tokens to train on, padding included.")
    parser.add_argument("--rate", type=float, default=Schedule().rate, help="Peak learning rate.")
    parser.add_argument("--seed", type=int, default=Schedule().seed, help="Fixes the order of the groups.")
    parser.add_argument("--start", type=Path, help="A model folder to train further, with its tokenizer.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
