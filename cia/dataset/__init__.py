"""Question-answer pairs for fine-tuning and evaluation: from the code itself, from a teacher, and from production.

``build`` writes them, ``load`` reads them back, ``find_leaks`` says what a training set gives away of an evaluation set;
``training_examples`` turns pairs into what a model is trained on.
"""

from cia.dataset.build import DatasetReport, build
from cia.dataset.examples import TrainingExample, training_examples, write_examples
from cia.dataset.leaks import Leak, check_no_leak, find_leaks
from cia.dataset.pair import GoldCitation, QuestionAnswerPair
from cia.dataset.pair_files import EVALUATION_FILE, REPORT_FILE, TRAIN_FILE, load

__all__ = [
    "EVALUATION_FILE", "REPORT_FILE", "TRAIN_FILE", "DatasetReport", "GoldCitation", "Leak", "QuestionAnswerPair",
    "TrainingExample", "build", "check_no_leak", "find_leaks", "load", "training_examples", "write_examples",
]  # fmt: skip
