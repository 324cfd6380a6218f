"""Question-answer pairs made from the code itself, for fine-tuning and evaluation.

``build`` writes them, ``load`` reads them back; ``training_examples`` turns them into what a model is trained on.
"""

from cia.dataset.build import EVALUATION_FILE, REPORT_FILE, TRAIN_FILE, DatasetReport, build, load
from cia.dataset.examples import TrainingExample, training_examples, write_examples
from cia.dataset.pair import GoldCitation, QuestionAnswerPair

__all__ = [
    "EVALUATION_FILE", "REPORT_FILE", "TRAIN_FILE", "DatasetReport", "GoldCitation", "QuestionAnswerPair", "TrainingExample",
    "build", "load", "training_examples", "write_examples",
]  # fmt: skip
