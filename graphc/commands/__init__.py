"""What the commands of `graphc` do; `graphc.cli` declares them."""
