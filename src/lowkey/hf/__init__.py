"""Everything that knows a Hugging Face format: names, configurations, weights, PEFT files."""
