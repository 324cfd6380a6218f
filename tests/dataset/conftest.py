"""A teacher on the loopback address, and a small repository to ask about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dataset.teacher_double import TeacherDouble

NOUNS = ["order", "invoice", "parcel", "customer", "voucher", "refund", "stock", "label", "courier", "basket", "ledger", "tariff"]


@pytest.fixture
def teacher() -> Iterator[TeacherDouble]:
    double = TeacherDouble()
    yield double
    double.close()


@pytest.fixture(scope="session")
def trade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of 24 functions that are worth a question, one of which holds a password."""
    folder = tmp_path_factory.mktemp("sources") / "trade"
    (folder / "trade").mkdir(parents=True)
    for noun in NOUNS:
        text = (
            f'def load_{noun}(number: int) -> str:\n    """Read one {noun} from its table."""\n'
            f"    table = open('{noun}.csv')\n    return table.readlines()[number]\n\n\n"
            f'def save_{noun}(text: str) -> None:\n    """Append one {noun} to its table."""\n'
            f"    password = '{'hunter2hunter2' if noun == 'ledger' else ''}'\n"
            f"    open('{noun}.csv', 'a').write(text + password)\n"
        )
        (folder / "trade" / f"{noun}.py").write_text(text, encoding="utf-8")
    return folder
