"""Answers to the same question in other words: what may be matched so, by which evidence, for whom."""
