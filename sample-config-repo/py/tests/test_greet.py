"""The greetings."""

import unittest

from greet import WORDS, greet


class Greet(unittest.TestCase):
    def test_every_language(self) -> None:
        for language, word in WORDS.items():
            with self.subTest(language=language):
                self.assertEqual(greet("anna", language), f"{word}, anna")

    def test_unknown_language(self) -> None:
        self.assertEqual(greet("ben", "xx"), "hello, ben")
