"""What can be proved, what holds by construction, and small networks solved in closed form."""
