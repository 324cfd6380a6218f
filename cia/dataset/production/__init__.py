"""Questions that users asked, with the answers that they approved or corrected."""

from cia.dataset.production.drafts import production_drafts, rated_answers
from cia.dataset.production.export_file import read_export
from cia.dataset.production.from_langfuse import read_langfuse
from cia.dataset.production.rated_answer import RatedAnswer

__all__ = ["RatedAnswer", "production_drafts", "rated_answers", "read_export", "read_langfuse"]
