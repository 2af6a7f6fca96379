"""harness: a model becomes an image, the image a flashed unit, the unit a Measurement."""
