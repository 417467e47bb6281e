"""Training on clips whose motion is known: the data, the losses, the trainer, and what it reaches."""
