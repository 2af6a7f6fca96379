"""TFLite Micro as an engine: a library that the user has built, and firmware around it."""
