from pathlib import Path

import pytest

import components.dataset_artifacts
from cia.corpus import Corpus
from cia.dataset import DatasetReport, build, check_no_leak, find_leaks, load
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.dataset.split import common_side, content_of, split_of, unit_of
from cia.errors import OperationError
from cia.progress import silent
from cia.settings import Settings
from components.dataset_artifacts import write_dataset


def pair(question="Where is `Cart.add`?", symbol="Cart.add", lines=(10, 20), **more) -> QuestionAnswerPair:
    path, repo, content = more.pop("path", "cart.py"), more.pop("repo", "shop"), more.pop("content", "")
    gold = GoldCitation(
        repo=repo, commit="c0ffee", file_path=path, line_start=lines[0], line_end=lines[1], symbol=symbol, content=content
    )
    said = {"kind": "where", "answer": f"`{symbol}` is in `{path}`. [{repo}/{path}:{lines[0]}-{lines[1]}]", "citations": (gold,)}
    identity = f"{repo} {question} {symbol} {lines}"
    return QuestionAnswerPair(
        **{**said, "id": identity, "question": question, "repo": repo, "commit": "c0ffee", "split": "train", **more}
    )


HELD = pair()


@pytest.mark.parametrize(
    ("trained", "shared"),
    [
        (pair("where  is `cart.ADD`?", symbol="Other", lines=(90, 95), path="b.py"), "question"),
        (pair("What does it do?", lines=(90, 95), path="b.py"), "definition"),
        (pair("What is a cart?", symbol="Cart", lines=(90, 95)), "definition"),
        (pair("What is removed?", symbol="Cart.remove", lines=(30, 40)), "definition"),
        (pair("Who calls it?", symbol="Shop.sell", lines=(90, 95), about="Cart.add"), "definition"),
        (pair("What is this?", symbol="", lines=(20, 25)), "lines"),
        (pair("What is this?", symbol="put", lines=(1, 5), path="copy.py", content="feed"), "copy"),
    ],
)
def test_whatever_two_pairs_share_is_found(trained, shared):
    held = HELD.model_copy(update={"citations": (HELD.citations[0].model_copy(update={"content": "feed"}),)})
    (leak,) = find_leaks([trained], [held])
    assert (leak.train, leak.evaluation, leak.shared) == (trained.id, held.id, shared)


def test_a_question_in_other_words_with_the_same_answer_is_found():
    long = "`pack` wraps each parcel in paper and writes the address of its customer on the label before it is weighed"
    held = pair("How does `pack` treat a parcel before weighing?", "pack", answer=f"{long}. [shop/cart.py:10-20]")
    trained = pair(
        "How does `pack` treat one parcel before weighing?", "", (70, 90), path="b.py", answer=f"{long}. [shop/b.py:70-90]"
    )
    assert [leak.shared for leak in find_leaks([trained], [held])] == ["wording"]


def test_pairs_that_share_nothing_do_not_leak():
    others = [
        pair("Where is `Stock`?", symbol="Stock", lines=(21, 30)),
        pair("Where is `Cart.add` there?", repo="market", path="b.py"),  # another repository's class of that name
        pair(
            "Where is the moon?", kind="unanswerable", answer="The indexed code does not answer this.", citations=(), about="moon"
        ),
    ]
    assert find_leaks(others, [HELD]) == ()
    check_no_leak(others, [HELD])


def test_unanswerable_questions_leak_by_their_words_or_their_subject_alone():
    def declined(question: str, about: str) -> QuestionAnswerPair:
        return pair(question, kind="unanswerable", answer="The indexed code does not answer this.", citations=(), about=about)

    held = declined("Where is `moon_cart`?", "moon_cart")
    assert find_leaks([declined("Where is `sun_cart`?", "sun_cart")], [held]) == ()
    assert find_leaks([declined("What does `moon_cart` do?", "moon_cart")], [held])


def test_training_on_the_evaluation_questions_is_refused_with_their_number():
    evaluation = [
        pair(f"Where is `thing_{number}`?", f"thing_{number}", (number * 10, number * 10 + 5)) for number in range(1, 9)
    ]
    with pytest.raises(OperationError, match=r"gives away 8 of 8 evaluation questions, such as 'Where is `thing_1`\?'"):
        check_no_leak(evaluation, evaluation)


def test_a_class_its_members_its_copies_and_its_asynchronous_twin_are_on_one_side():
    assert unit_of("Client.get") == unit_of("Client") == unit_of("AsyncClient.get") == unit_of("_client") == "client"
    assert unit_of("", "pkg/a.py") == "pkg/a.py"
    assert unit_of("async") == "async"
    sides = {split_of(f"name{number}", 0.2) for number in range(50)}
    assert sides == {"train", "evaluation"}
    assert common_side([f"name{number}" for number in range(50)], 0.2) is None


def test_about_the_wanted_share_is_kept_for_evaluation():
    kept = sum(split_of(f"name{number}", 0.2) == "evaluation" for number in range(2000))
    assert 340 < kept < 460


def test_a_copy_under_another_name_and_in_another_layout_has_the_same_content():
    text = "def load_order(number):\n    table = open('orders.csv')\n    return table.readlines()[number]"
    assert content_of(text, "load_order") == content_of(text.replace("load_order", "_read").replace("    ", "\t"), "Shop._read")
    assert content_of(text, "load_order") != content_of(text.replace("orders", "parcels"), "load_order")
    assert content_of("x = 1", "") == ""


def test_a_copied_function_is_not_trained_on_where_the_original_is_kept_for_evaluation(settings: Settings, tmp_path: Path):
    body = (
        '(number: int) -> str:\n    """Read one {0} of the day, and close its table."""\n'
        '    with open("{0}.csv") as table:\n        return table.read()\n'
    )
    names = [f"load_{number}" for number in range(30)]
    for folder, prefix in (("first", ""), ("second", "copied_")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{prefix}{name}.py").write_text(f"def {prefix}{name}{body.format(name.replace('_', ''))}")
        Corpus(settings).add(str(tmp_path / folder), name=folder)
    report = build(settings, Corpus(settings), None, tmp_path / "dataset")
    assert report.left_out["asked on both sides"] > 0
    train, evaluation = (load(tmp_path / "dataset" / f"{name}.jsonl") for name in ("train", "evaluation"))
    copies = {gold.content for pair in train for gold in pair.citations} & {
        gold.content for pair in evaluation for gold in pair.citations
    }
    assert copies == set()


def test_the_step_of_the_pipeline_refuses_files_that_leak(settings: Settings, trade: Path, tmp_path: Path, monkeypatch):
    Corpus(settings).add(str(trade), name="trade")

    def leaky(*given: object) -> DatasetReport:
        report = build(*given)
        directory = given[3]
        (directory / "train.jsonl").write_text(
            (directory / "train.jsonl").read_text() + (directory / "evaluation.jsonl").read_text()
        )
        return report

    monkeypatch.setattr(components.dataset_artifacts, "build", leaky)
    with pytest.raises(OperationError, match="gives away"):
        write_dataset(settings, ["trade"], tmp_path / "train", tmp_path / "evaluation", tmp_path / "summary.md", silent)
    assert not (tmp_path / "train" / "examples.jsonl").exists()
    assert not (tmp_path / "evaluation").exists()
