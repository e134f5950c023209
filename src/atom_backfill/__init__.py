"""ATOM Backfill: years of Outlook mail as a memory that people and their agents search."""
