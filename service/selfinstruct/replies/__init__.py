"""Readers of replies of chat models: lists, blocks, pairs, verdicts and JSON, with all that stands around them.

The papers' own forms are read by `service.selfinstruct.parsing` and `instances`, as their code reads them. A reply is
hostile text: every pattern here takes time linear in its length.
"""
