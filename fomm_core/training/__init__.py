"""Training: courses on videos, rendered clips and one painting, the loop that runs them, what models reach."""
