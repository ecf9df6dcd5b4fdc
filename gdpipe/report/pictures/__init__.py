"""Pictures as SVG, drawn from the numbers of a run: small, sharp, and readable without any script."""
