"""Embeddings, attention, and the blocks of transformers."""

from kerasish.layers.attention.embedding import Embedding
from kerasish.layers.attention.multihead import MultiheadAttention
from kerasish.layers.attention.positions import PositionalEncoding
from kerasish.layers.attention.transformers import (
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "Embedding",
    "MultiheadAttention",
    "PositionalEncoding",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
