"""Spaces: each a set of networks with draws, morphisms, a count and one lowering."""
