"""The µNAS space (arXiv 2010.14246)."""
