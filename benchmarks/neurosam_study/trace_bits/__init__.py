"""How many bits a SAM trace needs: a grid of narrow traces over recorded runs, and what the maps lose."""
