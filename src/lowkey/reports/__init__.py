"""Pictures, attention pages, the one-file HTML report and the model card."""
