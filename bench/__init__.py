"""Benchmarks: each module's `run()` returns a JSON-ready dict; `python -m bench` keeps them."""
