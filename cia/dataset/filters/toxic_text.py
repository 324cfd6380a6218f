"""Text that nobody should be answered with.

A short list of English words that are obscene or slurs in any sentence. It knows no other language, no insult made of
decent words, and no irony; words that are harsh elsewhere and harmless in code (kill, abort, dumb, master) are not on it.
"""

from __future__ import annotations

import re

_STEMS = (
    r"arsehole|asshole|bastard|bitch|bollocks|bullshit|cocksucker|cunt|dickhead|dipshit|faggot|fuck|jackass|kike|motherfuck"
    r"|nigga|nigger|paki|piss|prick|pussy|retard|shit|slut|spastic|tranny|twat|wank|whore"
)
_PLAIN = str.maketrans("013457@$!", "oieastasi")
_WORD = re.compile(rf"(?<![a-z])(?:{_STEMS})(?:s|es|ed|er|ers|ing|y|ty|ting|ted|head|heads)?(?![a-z])")


def is_toxic(text: str) -> bool:
    """Whether ``text`` holds one of the words, also with digits for letters (``5h1t``) or as part of a_name."""
    return any(_WORD.search(form) for form in (text.lower(), text.lower().translate(_PLAIN)))
