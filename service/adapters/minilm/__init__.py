"""Sentence embeddings on this machine: all-MiniLM-L6-v2 (Reimers and Gurevych 2019) on numpy, no network, no torch."""

from service.adapters.minilm.embedder import MODEL, MiniLM, check_model

__all__ = ["MODEL", "MiniLM", "check_model"]
