"""The model simulator: a strict OpenAI-compatible server whose answers are right, until a script says otherwise.

It knows the form of docs/reference/extraction.md, what the real service refuses and in which words, and what the sample
mailbox states; it must not know the product.
"""
