"""Greetings in several languages."""

WORDS = {"en": "hello", "de": "hallo", "fr": "bonjour"}


def greet(name: str, language: str = "en") -> str:
    """A greeting for `name`; an unknown language is greeted in English."""
    return f"{WORDS.get(language, WORDS['en'])}, {name}"
