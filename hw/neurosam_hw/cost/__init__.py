"""What an inference costs on a chip: counts, energy by cause, time by step."""
