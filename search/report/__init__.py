"""What a run has found, told to people: front, table, plots, page, and the files to ship."""
