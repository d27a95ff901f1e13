"""From a network to a mapping: populations are cut into pieces, and the pieces' cores get places on the chip."""
