"""Questions that the code does not answer: names it might have had, and subjects it might have dealt with.

Each is verified: the name is not a word of any file, and none of a subject's own words is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import zip_longest

from cia.answering.prompt import ABSTENTION
from cia.dataset.draft import Draft
from cia.dataset.from_code.definitions import CodeBase, name_of
from cia.dataset.from_code.questions import CALLERS, SIGNATURE, WHAT, WHERE_BY_NAME
from cia.retrieval.tokens import stem, words

SUBJECTS = {
    "How are Kafka offsets committed?": ("kafka", "offset"),
    "Where is the GraphQL schema validated?": ("graphql",),
    "How does the OAuth device flow poll for a token?": ("oauth",),
    "Which function resizes image thumbnails?": ("thumbnail",),
    "How are Stripe invoices refunded?": ("stripe", "invoice", "refund"),
    "Where is the Kubernetes liveness probe configured?": ("kubernetes", "liveness"),
    "How does the Bluetooth pairing work?": ("bluetooth",),
    "Which class encodes video frames?": ("video",),
    "How are database migrations rolled back?": ("migration", "rollback"),
    "Where is the Redis connection pool sized?": ("redis",),
    "How does the recommender rank products?": ("recommender", "product"),
    "Which function computes the checksum of a firmware image?": ("firmware",),
    "How is the neural network's learning rate scheduled?": ("neural",),
    "Where are push notifications sent to phones?": ("notification", "phone"),
    "How does the parser read PDF annotations?": ("pdf",),
    "Which code rotates the encryption keys in the vault?": ("vault",),
    "How is the shopping basket emptied?": ("shopping", "basket"),
    "Where is the LDAP group membership looked up?": ("ldap",),
    "How does the garbage collector mark objects?": ("garbage",),
    "Which function draws the histogram?": ("histogram",),
    "How are GPS coordinates projected onto the map?": ("gps",),
    "Where is the chess board evaluated?": ("chess",),
    "How is the spreadsheet's formula recalculated?": ("spreadsheet", "formula"),
    "Which class speaks the MQTT protocol?": ("mqtt",),
    "How does the replica elect a leader?": ("replica", "elect"),
    "Where are audio samples mixed?": ("audio",),
    "How is a barcode scanned?": ("barcode",),
    "Which function translates SQL joins?": ("sql",),
    "How are seats on a flight reserved?": ("flight", "seat"),
    "Where is the CUDA kernel launched?": ("cuda",),
    "How does the crawler respect a site's robots file?": ("crawler", "robots"),
    "Which code signs the blockchain transaction?": ("blockchain",),
    "How is the patient's medical record anonymised?": ("patient", "medical"),
    "Where is the tax of an order computed?": ("tax",),
    "How does the scheduler assign pods to nodes?": ("pod",),
    "Which function trains the random forest?": ("forest",),
    "How is the PostgreSQL replication slot dropped?": ("postgresql", "replication"),
    "Where are telephone numbers verified by SMS?": ("telephone", "sms"),
    "How does the compiler allocate registers?": ("compiler", "allocate"),
    "Which class renders the 3D mesh?": ("mesh",),
}
"""Questions of ordinary programs with the words that would have to be somewhere in the code for it to answer them."""


def unanswerable(code: CodeBase, random_: random.Random) -> Iterator[Draft]:
    """Yield questions whose answer is the abstention, names and subjects by turns, as many as there are."""
    subjects = [question for question, needed in sorted(SUBJECTS.items()) if not _mentions(code, needed)]
    random_.shuffle(subjects)
    for name, subject in zip_longest(_absent_names(code, random_), subjects):
        if name:
            templates = random_.choice((WHERE_BY_NAME, WHAT, SIGNATURE, CALLERS))
            noun = "class" if name[0].isupper() else "function"
            yield _declined(random_.choice(templates).format(symbol=name, noun=noun), name)
        if subject:
            yield _declined(subject, subject)


def _absent_names(code: CodeBase, random_: random.Random) -> Iterator[str]:
    """Yield names in the style of the code, a first part of one and a last part of another, that no file mentions."""
    names = sorted({name_of(symbol).strip("_") for symbol in code.definitions if not name_of(symbol).startswith("__")})
    snake = [name.split("_") for name in names if "_" in name and name.islower()]
    camel = [parts for name in names if name[:1].isupper() and len(parts := _camel_parts(name)) > 1]
    tried: set[str] = set()
    for _ in range(20 * (len(snake) + len(camel))):
        style, joint = random_.choice([(style, joint) for style, joint in ((snake, "_"), (camel, "")) if style])
        first, last = random_.choice(style), random_.choice(style)
        name = joint.join([*first[:-1], last[-1]])
        if name.lower() in code.words or name in tried or len(name) > 40 or first[:-1] == last[-1:]:
            continue
        tried.add(name)
        yield name


def _camel_parts(name: str) -> list[str]:
    starts = [at for at, letter in enumerate(name) if letter.isupper() and (at == 0 or not name[at - 1].isupper())]
    return [name[start:end] for start, end in zip(starts, [*starts[1:], len(name)], strict=True)] if name.isalnum() else []


def _mentions(code: CodeBase, needed: tuple[str, ...]) -> bool:
    wanted = {stem(word) for word in needed}
    return any(not wanted.isdisjoint(words(word)) for word in code.words)


def _declined(question: str, about: str) -> Draft:
    return Draft("unanswerable", question, ABSTENTION, about, (), question)
