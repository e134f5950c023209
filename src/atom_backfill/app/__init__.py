"""The composition root: the only room that knows every adapter, and puts the product together from settings.

Knows which adapter serves which port; holds no rule of its own. Everything it opens, it closes.
"""
