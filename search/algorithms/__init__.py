"""What chooses the next candidate: algorithms that are asked and told."""
