"""Networks: their architectures, their layers made quick, and what those do to images."""
