"""The recipe of the base model, from sdists to a model folder, on a corpus that takes seconds."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cia.corpus import Corpus
from cia.dataset.from_code import CodeBase, read_code_base
from cia.settings import Settings
from runtimes.base_model import shipped
from runtimes.base_model.recipe import __main__ as recipe
from runtimes.base_model.recipe.encoding import EncodedGroup, choice_tokens, encode
from runtimes.base_model.recipe.groups import CARDS, Group, groups_of, read_groups, write_groups
from runtimes.base_model.recipe.packages import DEVELOPMENT, TEST, is_permissive, training_packages
from runtimes.base_model.recipe.scoring import score
from runtimes.base_model.recipe.start import starting_model
from runtimes.base_model.recipe.training import Schedule, train
from runtimes.processor import limit_threads
from runtimes.tokenizer import train_tokenizer

CIA = Path(recipe.__file__).parents[3] / "cia"
GROUPS = 250
SHAPE = {"hidden": 256, "inner": 64, "layers": 3, "seed": 1}
SHORT = Schedule(tokens=6_000, batch_tokens=1_500, checkpoint_tokens=2_000)


class Killed(Exception):
    """What ends a run in the middle."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    limit_threads()


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> CodeBase:
    """The project's own domain code."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    own = tmp_path_factory.mktemp("own")
    shutil.copytree(CIA, own / "cia", ignore=shutil.ignore_patterns("__pycache__"))
    return read_code_base(Corpus(settings).add(str(own)), settings.chunking)


@pytest.fixture(scope="module")
def groups(code: CodeBase) -> list[Group]:
    return list(groups_of(code, GROUPS, seed=1))


@pytest.fixture(scope="module")
def tokenizer(groups: list[Group]) -> Any:
    return train_tokenizer(["\n".join(group.cards) for group in groups], 3_000, context_tokens=1_024)


@pytest.fixture(scope="module")
def encoded(groups: list[Group], tokenizer: Any) -> list[EncodedGroup]:
    return list(encode(groups, tokenizer))


def _sources(folder: Path) -> Path:
    for room in ("answering", "corpus"):
        for path in sorted((CIA / room).glob("*.py")):
            (folder / room).mkdir(exist_ok=True)
            (folder / room / path.name).write_bytes(path.read_bytes())
    return folder


def _start(tokenizer: Any, encoded: list[EncodedGroup]) -> Any:
    import numpy as np

    ids = [ids for group in encoded for ids in (group.cards, *(question.ids for question in group.questions))]
    return starting_model(tokenizer, np.concatenate(ids), **SHAPE)


def test_a_group_shows_five_cards_and_asks_about_them(groups: list[Group]) -> None:
    assert len(groups) == GROUPS
    assert {len(group.cards) for group in groups} == {CARDS}
    gold = [question.gold for group in groups for question in group.questions]
    assert all(1 <= number <= CARDS for numbers in gold for number in numbers)
    assert 0.05 < sum(not numbers for numbers in gold) / len(gold) < 0.4


def test_a_question_by_name_has_the_card_of_that_name_as_its_gold(groups: list[Group]) -> None:
    asked = [(group, question) for group in groups for question in group.questions if question.kind == "signature"]
    assert asked
    for group, question in asked:
        symbol = question.text.split("`")[1]
        assert any(f" {symbol} " in group.cards[number - 1].partition("\n")[0] for number in question.gold)


def test_the_answer_that_was_taken_away_is_on_no_card(groups: list[Group]) -> None:
    removed = [(group, q) for group in groups for q in group.questions if q.kind in ("what, not shown", "signature, not shown")]
    assert removed
    for group, question in removed:
        symbol = question.text.split("`")[1]
        assert not any(f" {symbol} " in card.partition("\n")[0] for card in group.cards)


def test_the_same_code_gives_the_same_groups(code: CodeBase, groups: list[Group], tmp_path: Path) -> None:
    write_groups(groups_of(code, GROUPS, seed=1), tmp_path / "groups.jsonl")
    assert read_groups(tmp_path / "groups.jsonl") == groups


def test_a_question_is_encoded_as_it_is_served(groups: list[Group], encoded: list[EncodedGroup], tokenizer: Any) -> None:
    from cia.answering.cards import cards_message

    group, ids = groups[0], encoded[0]
    message = {"role": "user", "content": cards_message(group.questions[0].text, group.cards)}
    served = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    question = ids.questions[0]
    assert tokenizer.decode([*ids.cards, *question.ids[: question.answer]]) == served


def test_a_question_does_not_see_the_others(encoded: list[EncodedGroup], tokenizer: Any) -> None:
    import torch

    from runtimes.base_model.recipe.training import _lay_out

    model = _start(tokenizer, encoded).eval()
    group = max(encoded, key=lambda one: len(one.questions))
    alone = EncodedGroup(group.cards, group.questions[-1:])
    last = []
    for laid in (_lay_out([group]), _lay_out([alone])):
        with torch.no_grad():
            inputs = {"input_ids": laid.inputs, "position_ids": laid.positions, "attention_mask": laid.mask[:, None]}
            last.append(model(**inputs).logits[0, -1])
    torch.testing.assert_close(last[0], last[1], atol=1e-4, rtol=1e-4)


def test_the_start_looks_words_up_before_any_training(code: CodeBase, encoded: list[EncodedGroup], tokenizer: Any) -> None:
    found = score(_start(tokenizer, encoded), tokenizer, list(groups_of(code, 150, seed=2, most_questions=1)))
    assert found.forced.count > 50
    assert found.forced.rate > 0.35  # by chance it is 0.2


def test_a_killed_training_goes_on_to_the_same_weights(encoded: list[EncodedGroup], tokenizer: Any, tmp_path: Path) -> None:
    import torch

    reports: list[str] = []

    def killed(line: str) -> None:
        reports.append(line)
        if len(reports) == 2:  # what came after the first checkpoint is lost
            raise Killed

    choices = choice_tokens(tokenizer)
    whole = _start(tokenizer, encoded)
    train(whole, encoded, choices, SHORT, tmp_path / "whole.pt", lambda _: {}, _quiet)
    with pytest.raises(Killed):
        train(_start(tokenizer, encoded), encoded, choices, SHORT, tmp_path / "killed.pt", lambda _: {}, killed)
    resumed = _start(tokenizer, encoded)
    done = train(resumed, encoded, choices, SHORT, tmp_path / "killed.pt", lambda _: {}, _quiet)
    assert done.tokens >= SHORT.tokens
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name


def _quiet(_: str) -> None:
    pass


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages instead of the pinned ones, downloaded already, and the shape of a small model."""
    home = tmp_path / "work" / "home"
    for name in ("lantern", "wick"):
        _sdist(home, name, "Classifier: License :: OSI Approved :: MIT License", _sources(tmp_path))
    monkeypatch.setattr(recipe, "training_packages", lambda: ["lantern==1.0"])
    monkeypatch.setattr(recipe, "DEVELOPMENT", ("wick==1.0",))
    for name, value in {"VOCABULARY": 1_500, "INNER": 64, "LAYERS": 3, "DEVELOPMENT_QUESTIONS": 10}.items():
        monkeypatch.setattr(recipe, name, value)
    return home


def _sdist(home: Path, name: str, licence: str, sources: Path) -> None:
    folder = home / "corpus" / ".sdists"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{licence}\n\nAbout it.\n".encode()
        member = tarfile.TarInfo(f"{name}-1.0/PKG-INFO")
        member.size = len(about)
        archive.addfile(member, io.BytesIO(about))
        for path in sorted(sources.glob("*/*.py")):
            archive.add(path, f"{name}-1.0/{name}/{path.relative_to(sources)}")


def test_the_recipe_makes_a_whole_model_folder(packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM

    order = [f"--work={tmp_path / 'work'}", "--groups=10", "--tokens=4000"]
    assert recipe.main(order) == 0, capsys.readouterr().err
    made = shipped.check_files(tmp_path / "work" / "model")
    assert AutoModelForCausalLM.from_pretrained(made).config.num_hidden_layers == 3
    assert "lantern==1.0 (MIT License)" in capsys.readouterr().out
    further = [f"--work={tmp_path / 'further'}", f"--start={made}", "--groups=10", "--tokens=2000"]
    (tmp_path / "further").mkdir()
    (tmp_path / "further" / "home").symlink_to(packages)
    assert recipe.main(further) == 0, capsys.readouterr().err
    shipped.check_files(tmp_path / "further" / "model")


def test_a_package_that_is_not_permissive_stops_the_recipe(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _sdist(packages, "lantern", "License: GPL-3.0-or-later", _sources(tmp_path))
    assert recipe.main([f"--work={tmp_path / 'work'}"]) == 2
    assert "lantern==1.0 is under 'GPL-3.0-or-later'; leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["MIT", "BSD License", "Apache-2.0 OR GPL-2.0-or-later", "Apache-2.0 AND BSD-2-Clause", "ISC"])
def test_a_licence_that_allows_everything_is_accepted(named: str) -> None:
    assert is_permissive(named)


@pytest.mark.parametrize(
    "named", ["", "GPL-3.0", "MPL-2.0", "LGPL-2.1 AND MIT", "Mozilla Public License 2.0 (MPL 2.0)", "Proprietary"]
)
def test_any_other_licence_is_not(named: str) -> None:
    assert not is_permissive(named)


def test_nothing_is_both_learnt_from_and_scored_on() -> None:
    name = [pinned.partition("==")[0] for pinned in (*training_packages(), *DEVELOPMENT, *TEST)]
    assert len(name) == len(set(name))
