"""Decisions: what a record changes, who may, where and in what order; pure, time and randomness are arguments."""
