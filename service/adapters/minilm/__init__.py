"""Local sentence embeddings: all-MiniLM-L6-v2 (Reimers and Gurevych 2019) on numpy, without network or PyTorch."""

from service.adapters.minilm.embedder import MODEL, MiniLM, check_model

__all__ = ["MODEL", "MiniLM", "check_model"]
