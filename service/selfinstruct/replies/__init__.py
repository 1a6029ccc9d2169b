"""Parsers for the replies of chat models: lists, blocks, pairs, verdicts and JSON, and the text around them.

`service.selfinstruct.parsing` and `instances` parse the papers' own forms, as the papers' code does. A reply is hostile
text: every pattern here takes time linear in its length.
"""
