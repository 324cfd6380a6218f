"""Questions and answers that a stronger model writes about the code, at any OpenAI-compatible address."""

from cia.dataset.teacher.drafts import teacher_drafts
from cia.dataset.teacher.journal import Journal, Reply
from cia.dataset.teacher.lesson import Lesson
from cia.dataset.teacher.teacher import Asked, Teacher

__all__ = ["Asked", "Journal", "Lesson", "Reply", "Teacher", "teacher_drafts"]
