"""Strict stand-ins for the foreign services, usable on their own; they share no code with the product."""
