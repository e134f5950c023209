"""The sample mailbox: three years of an invented company's mail, the same every time it is made.

It knows how people write and how mail programs render it; it must not know the product. Stories are data
(stories/*.txt), the renderer does not know them, and nothing outside reserved domains occurs in it.
"""

from .mailbox import messages, write_mailbox
from .truth import Query, StoryTruth, Truth, everything, truth

__all__ = ["Query", "StoryTruth", "Truth", "everything", "messages", "truth", "write_mailbox"]
