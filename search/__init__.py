"""search: a genotype becomes an Evaluation, evaluations become a Pareto front."""
