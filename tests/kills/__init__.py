"""Does a search outlive `kill -9`? `hilnas search` is killed at drawn moments and resumed until it
ends; then its run folder must be that of a run nobody disturbed. docs/reliability.md tells what
came of it."""
