"""Question-answer pairs made from the code itself, for fine-tuning and evaluation.

``build`` writes them, ``load`` reads them back; ``cia.dataset.examples`` turns them into what a model is trained on.
"""

from cia.dataset.build import EVALUATION_FILE, REPORT_FILE, TRAIN_FILE, DatasetReport, build, load
from cia.dataset.pair import GoldCitation, QuestionAnswerPair

__all__ = [
    "EVALUATION_FILE", "REPORT_FILE", "TRAIN_FILE", "DatasetReport", "GoldCitation", "QuestionAnswerPair", "build", "load",
]  # fmt: skip
